Feature: Fork Task
  Branches side by side, and races between them

  Scenario: All branches run at the same time and the outputs come in branch order
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: fork
        version: '1.0.0'
      do:
        - f:
            fork:
              branches:
                - a:
                    call: http
                    with: {method: post, endpoint: https://stub.example/a}
                - b:
                    call: http
                    with: {method: post, endpoint: https://stub.example/b}
      """
    And given POST https://stub.example/a is answered with:
      """yaml
      content: 1
      after: PT5S
      """
    And given POST https://stub.example/b is answered with:
      """yaml
      content: 2
      after: PT1S
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      [1, 2]
      """
    And these requests should have been made:
      """yaml
      - POST https://stub.example/a
      - POST https://stub.example/b
      """

  Scenario: In a race the first to complete wins and the others are cancelled
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: fork
        version: '1.0.0'
      do:
        - f:
            fork:
              compete: true
              branches:
                - a:
                    call: http
                    with: {method: put, endpoint: https://stub.example/a}
                - b:
                    call: http
                    with: {method: put, endpoint: https://stub.example/b}
                - w:
                    wait: PT9S
      """
    And given PUT https://stub.example/a is answered with:
      """yaml
      content: slow
      after: PT5S
      """
    And given PUT https://stub.example/b is answered with:
      """yaml
      content: fast
      after: PT1S
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      fast
      """
    And a should cancel

  Scenario: A read on its way is dropped and not waited for
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: fork
        version: '1.0.0'
      do:
        - f:
            fork:
              branches:
                - a:
                    call: http
                    with: {method: get, endpoint: https://stub.example/a}
                - b:
                    call: http
                    with: {method: post, endpoint: https://stub.example/b}
      """
    And given GET https://stub.example/a is answered with:
      """yaml
      after: PT100S
      """
    And given POST https://stub.example/b is answered with:
      """yaml
      status: 409
      after: PT1S
      content: null
      """
    When the workflow is executed
    Then the workflow should fault with an error containing:
      """yaml
      status: 409
      """
    And a should cancel

  Scenario: An error of a fork can be caught
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: fork
        version: '1.0.0'
      do:
        - t:
            try:
              - f:
                  fork:
                    branches:
                      - a:
                          wait: PT1H
                      - b:
                          raise: {error: {type: x, status: 400}}
            catch:
              do:
                - c:
                    set: {caught: true}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      caught: true
      """

  Scenario: Each branch has its own context and they are merged in branch order
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: fork
        version: '1.0.0'
      do:
        - before:
            set: {n: 0}
            export: {as: '{kept: 1, both: 0, gone: 1}'}
        - f:
            fork:
              branches:
                - a:
                    do:
                      - w:
                          wait: PT5S
                      - x:
                          set: {n: 1}
                          export: {as: '$context + {a: 1, both: "a"}'}
                - b:
                    set: {n: 2}
                    export:
                      as: '$context + {b: $context.a, both: "b"} | del(.gone)'
        - after:
            set: ${ $context }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      kept: 1
      both: b
      a: 1
      b: null
      """

  Scenario: Only the winner's exports remain after a race
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: fork
        version: '1.0.0'
      do:
        - f:
            fork:
              compete: true
              branches:
                - a:
                    do:
                      - x:
                          set: {n: 1}
                          export: {as: '{a: 1}'}
                      - w:
                          wait: PT5S
                - b:
                    do:
                      - x:
                          wait: PT1S
                      - y:
                          set: {n: 2}
                          export: {as: '{b: 1}'}
        - after:
            set: ${ $context }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      b: 1
      """

  Scenario: End in a branch ends the workflow
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: fork
        version: '1.0.0'
      do:
        - f:
            fork:
              branches:
                - a:
                    wait: PT1H
                - b:
                    do:
                      - x:
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

  Scenario: Branches see the loop around them
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: fork
        version: '1.0.0'
      do:
        - loop:
            for: {in: '[1, 2]'}
            do:
              - f:
                  fork:
                    branches:
                      - a:
                          set: ${ $item }
                      - b:
                          set: ${ $item * 10 }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      [2, 20]
      """

  Scenario: A branch that was skipped stands in nobody's way
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: fork
        version: '1.0.0'
      do:
        - both:
            fork:
              branches:
                - skipped:
                    if: '${ false }'
                    do:
                      - never:
                          set: {n: 1}
                - bad:
                    do:
                      - rest:
                          wait: PT1S
                      - fail:
                          raise:
                            error: {type: https://stub.example/errors/bad, status: 500}
      """
    When the workflow is executed
    Then the workflow should fault with an error containing:
      """yaml
      type: https://stub.example/errors/bad
      """
    And skipped should not run

  Scenario: A branch that was skipped hands its input on
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: fork
        version: '1.0.0'
      do:
        - both:
            fork:
              branches:
                - skipped:
                    if: '${ false }'
                    fork:
                      branches:
                        - never:
                            set: {n: 1}
                - good:
                    set: {n: 2}
      """
    And given the workflow input is:
      """yaml
      n: 0
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      - {n: 0}
      - {n: 2}
      """
