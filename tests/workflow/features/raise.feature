Feature: Raise Task
  Errors that the document itself raises

  Scenario: An error may be made of data
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: raise
        version: '1.0.0'
      do:
        - refuse:
            raise:
              error:
                type: https://stub.example/errors/stock
                status: 409
                title: ${ "No \(.item)" }
                detail: ${ "\(.item) is gone since \(.day)" }
      """
    And given the workflow input is:
      """yaml
      item: chair
      day: monday
      """
    When the workflow is executed
    Then the workflow should fault with error:
      """yaml
      type: https://stub.example/errors/stock
      status: 409
      title: No chair
      detail: chair is gone since monday
      instance: /do/0/refuse
      """

  Scenario: An error of the document is raised by its name
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: raise
        version: '1.0.0'
      use:
        errors:
          broke:
            type: https://stub.example/errors/broke
            status: 402
            title: Broke
      do:
        - list:
            do:
              - refuse:
                  raise: {error: broke}
      """
    When the workflow is executed
    Then the workflow should fault with error:
      """yaml
      type: https://stub.example/errors/broke
      status: 402
      title: Broke
      instance: /do/0/list/do/0/refuse
      """

  Scenario: An error in a loop names the task
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: raise
        version: '1.0.0'
      do:
        - loop:
            for: {each: n, in: '${ [1, 2, 3] }'}
            do:
              - check:
                  if: $n == 2
                  raise:
                    error: {type: https://stub.example/errors/two, status: 400}
              - count:
                  set: {n: '${ $n }'}
      """
    When the workflow is executed
    Then the workflow should fault with error:
      """yaml
      type: https://stub.example/errors/two
      status: 400
      instance: /do/0/loop/do/0/check
      """

  Scenario: An error in a branch is the fork's
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: raise
        version: '1.0.0'
      do:
        - both:
            fork:
              branches:
                - good:
                    wait: PT1H
                - bad:
                    raise:
                      error: {type: https://stub.example/errors/bad, status: 500}
      """
    When the workflow is executed
    Then the workflow should fault with error:
      """yaml
      type: https://stub.example/errors/bad
      status: 500
      instance: /do/0/both/fork/branches/1/bad
      """
    And good should cancel

  Scenario: An error is raised again by its handler
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: raise
        version: '1.0.0'
      do:
        - attempt:
            try:
              - ask:
                  call: http
                  with: {method: get, endpoint: https://stub.example/a}
            catch:
              as: cause
              do:
                - translate:
                    raise:
                      error:
                        type: https://stub.example/errors/down
                        status: 503
                        title: ${ "The service answered \($cause.status)" }
      """
    And given GET https://stub.example/a is answered with:
      """yaml
      status: 418
      content: null
      """
    When the workflow is executed
    Then the workflow should fault with error:
      """yaml
      type: https://stub.example/errors/down
      status: 503
      title: The service answered 418
      instance: /do/0/attempt/catch/do/0/translate
      """
