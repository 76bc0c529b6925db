Feature: Extensions
  Tasks before and after other tasks

  Scenario: Tasks before and after see what the task gets and gives, and change neither
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: extension
        version: '1.0.0'
      use:
        extensions:
          - log:
              extend: set
              before:
                - b:
                    set: {got: '${ . }'}
                    export: {as: '${ $context + {before: .got} }'}
              after:
                - a:
                    set: {gave: '${ . }'}
                    export: {as: '${ $context + {after: .gave} }'}
      do:
        - one:
            set: {n: '${ .n + 1 }'}
            output: {as: '${ . + {context: $context} }'}
        - two:
            do:
              - x:
                  wait: PT1S
            output: {as: '${ {n, context: $context} }'}
      """
    And given the workflow input is:
      """yaml
      n: 1
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      n: 2
      context: {before: {n: 1}, after: {n: 2, context: {before: {n: 1}}}}
      """
    And b should run first
    And one should run after b
    And a should run after one
    And two should run after a
    And x should run after two
    And x should run last

  Scenario: A task that is skipped is not extended
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: extension
        version: '1.0.0'
      use:
        extensions:
          - x:
              extend: all
              before:
                - b:
                    set: {n: 0}
      do:
        - a:
            if: ${ .n > 5 }
            set: {n: 9}
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
    And a should not run

  Scenario: An error of an extension is one of the task
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: extension
        version: '1.0.0'
      use:
        extensions:
          - x:
              extend: set
              before:
                - r:
                    raise: {error: {type: x, status: 418}}
      do:
        - t:
            try:
              - a:
                  set: {n: 1}
            catch:
              as: e
              do:
                - c:
                    wait: PT0S
              then: continue
            output: {as: $input}
      """
    And given the workflow input is:
      """yaml
      n: 3
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      n: 3
      """
    And t should run first
    And r should run after t
    And c should run after r
    And c should run last

  Scenario: Where it goes on is the task's word
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: extension
        version: '1.0.0'
      use:
        extensions:
          - x:
              extend: switch
              after:
                - a:
                    set: {n: 0}
      do:
        - s:
            switch: [{one: {then: last}}]
        - skipped:
            set: {n: 1}
        - last:
            wait: PT1S
      """
    And given the workflow input is:
      """yaml
      n: 7
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      n: 7
      """
    And s should run first
    And a should run after s
    And last should run after a
    And last should run last

  Scenario: An exit before a call stands for it
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: extension
        version: '1.0.0'
      use:
        extensions:
          - mock:
              extend: call
              when: $task.with.endpoint | endswith("/mocked")
              before:
                - answer:
                    set: {id: 7}
                    then: exit
                - never:
                    set: {id: 8}
      do:
        - first:
            call: http
            with: {method: get, endpoint: https://stub.example/mocked}
            export: {as: '${ {first: .id} }'}
        - second:
            call: http
            with: {method: get, endpoint: https://stub.example/real}
            output: {as: '${ {second: .id} + $context }'}
      """
    And given GET https://stub.example/real is answered with:
      """yaml
      content: {id: 9}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      {second: 9, first: 7}
      """
    And never should not run
    And these requests should have been made:
      """yaml
      - GET https://stub.example/real
      """

  Scenario: Extensions call services around a call
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: extension
        version: '1.0.0'
      use:
        extensions:
          - audit:
              extend: call
              before:
                - begin:
                    call: http
                    with: {method: post, endpoint: https://stub.example/audit, body: '${ {begins: $task.name} }'}
              after:
                - close:
                    call: http
                    with: {method: post, endpoint: https://stub.example/audit, body: '${ {gave: .} }'}
      do:
        - work:
            call: http
            with: {method: get, endpoint: https://stub.example/work}
      """
    And given GET https://stub.example/work is answered with:
      """yaml
      content: {id: 1}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      id: 1
      """
    And begin should run before work
    And close should run after work
