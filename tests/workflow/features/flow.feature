Feature: Flow Directives
  Where a workflow goes on, and how long it waits

  Scenario: Exit ends the list and the outer list goes on
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: flow
        version: '1.0.0'
      do:
        - outer:
            do:
              - a:
                  set: {n: 1}
                  then: exit
              - b:
                  set: {n: 2}
        - after:
            set: {n: '${ .n + 10 }'}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      n: 11
      """

  Scenario: End ends the whole workflow from inside
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: flow
        version: '1.0.0'
      do:
        - outer:
            do:
              - loop:
                  for: {in: '[1, 2]'}
                  do:
                    - a:
                        set: {n: 1}
                        then: end
        - after:
            set: {n: 2}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      n: 1
      """

  Scenario: Exit in a loop ends the iteration
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: flow
        version: '1.0.0'
      do:
        - loop:
            for: {in: '[1, 2, 3]'}
            do:
              - a:
                  set: ${ . + [$item] }
                  then: exit
              - b:
                  set: {n: 1}
      """
    And given the workflow input is:
      """yaml
      []
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      [1, 2, 3]
      """

  Scenario: Continue as a directive is the next task
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: flow
        version: '1.0.0'
      do:
        - a:
            set: {n: 1}
            then: continue
        - b:
            set: {n: '${ .n + 1 }'}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      n: 2
      """

  Scenario: The first case that holds wins
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: flow
        version: '1.0.0'
      do:
        - choose:
            switch:
              - {one: {when: .n > 0, then: a}}
              - {two: {when: .n > 1, then: b}}
        - a:
            set: {took: a}
            then: end
        - b:
            set: {took: b}
      """
    And given the workflow input is:
      """yaml
      n: 5
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      took: a
      """

  Scenario: Without a case that holds the switch's own directive counts
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: flow
        version: '1.0.0'
      do:
        - choose:
            switch: [{one: {when: .n > 0, then: a}}]
            then: b
        - a:
            set: {took: a}
            then: end
        - b:
            set: {took: b}
      """
    And given the workflow input is:
      """yaml
      n: 0
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      took: b
      """

  Scenario: A case without a condition is the default
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: flow
        version: '1.0.0'
      do:
        - choose:
            switch: [{one: {when: .n > 0, then: end}}, {other: {then: b}}]
        - a:
            set: {took: a}
            then: end
        - b:
            set: {took: b}
      """
    And given the workflow input is:
      """yaml
      n: 0
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      took: b
      """

  Scenario: Wait takes an object and a duration in ISO 8601
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: flow
        version: '1.0.0'
      do:
        - a:
            wait: {seconds: 2, milliseconds: 500}
        - b:
            wait: PT1M
      """
    And given the workflow input is:
      """yaml
      n: 1
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      n: 1
      """
    And the workflow should have waited PT2.5S, PT60S

  Scenario: Wait takes an expression
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: flow
        version: '1.0.0'
      do:
        - a:
            wait: ${ .pause }
      """
    And given the workflow input is:
      """yaml
      pause: PT3S
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      pause: PT3S
      """
    And the workflow should have waited PT3S

  Scenario: Then goes back, as long as a switch says so
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: flow
        version: '1.0.0'
      do:
        - poll:
            call: http
            with: {method: get, endpoint: https://stub.example/job}
        - again:
            switch:
              - ready:
                  when: .state == "done"
                  then: end
        - rest:
            wait: PT5S
            then: poll
      """
    And given GET https://stub.example/job is answered with:
      """yaml
      - content: {state: busy}
      - content: {state: busy}
      - content: {state: done}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      state: done
      """
    And the workflow should have waited PT5S, PT5S
    And these requests should have been made:
      """yaml
      - GET https://stub.example/job
      - GET https://stub.example/job
      - GET https://stub.example/job
      """

  Scenario: An error ends the workflow
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: flow
        version: '1.0.0'
      do:
        - first:
            set: {n: 1}
        - fail:
            raise:
              error: {type: https://stub.example/errors/wrong, status: 418}
        - never:
            set: {n: 2}
      """
    When the workflow is executed
    Then the workflow should fault
    And first should complete
    And fail should fault
    And never should not run

  Scenario: Exit in the outermost list ends the workflow
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: flow
        version: '1.0.0'
      do:
        - first:
            set: {n: 1}
            then: exit
        - never:
            set: {n: 2}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      n: 1
      """
    And first should run last
    And never should not run

  Scenario: The cases of a switch are tried one after the other
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: flow
        version: '1.0.0'
      do:
        - choose:
            switch:
              - large:
                  when: .n > 100
                  then: end
              - medium:
                  when: .n > 10
                  then: medium
              - small:
                  when: .n > 1
                  then: small
        - small:
            set: {took: small}
            then: end
        - medium:
            set: {took: medium}
            then: end
      """
    And given the workflow input is:
      """yaml
      n: 50
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      took: medium
      """
    And small should not run

  Scenario: A switch hands its input on
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: flow
        version: '1.0.0'
      do:
        - choose:
            input: {from: .order}
            switch:
              - any:
                  then: last
        - skipped:
            set: {lost: true}
        - last:
            set: {got: '${ . }'}
      """
    And given the workflow input is:
      """yaml
      order: {id: 7}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      got: {id: 7}
      """

  Scenario: Case conditions see the context
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: flow
        version: '1.0.0'
      do:
        - keep:
            set: {n: 1}
            export: {as: '${ {mode: "fast"} }'}
        - choose:
            switch:
              - fast:
                  when: $context.mode == "fast"
                  then: fast
              - slow:
                  then: end
        - fast:
            set: {took: fast}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      took: fast
      """

  Scenario: A workflow ends behind a task that was skipped
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: flow
        version: '1.0.0'
      do:
        - attempt:
            try:
              - skipped:
                  if: '${ false }'
                  call: http
                  with: {method: get, endpoint: https://stub.example/a}
            catch: {}
            then: end
        - never:
            set: {n: 2}
      """
    And given the workflow input is:
      """yaml
      n: 1
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      n: 1
      """
    And no request should have been made
