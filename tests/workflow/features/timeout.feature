Feature: Timeouts
  What is not done in time

  Scenario: A list of tasks shares one timeout
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: timeout
        version: '1.0.0'
      do:
        - l:
            timeout: {after: PT3S}
            do:
              - a:
                  wait: PT2S
              - b:
                  wait: PT2S
              - c:
                  set: {late: true}
      """
    When the workflow is executed
    Then the workflow should fault with an error containing:
      """yaml
      status: 408
      instance: /do/0/l
      """
    And l should run first
    And a should run after l
    And b should run after a
    And b should run last

  Scenario: An inner timeout ends before an outer one
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: timeout
        version: '1.0.0'
      do:
        - l:
            timeout: {after: PT3S}
            do:
              - a:
                  timeout: {after: PT1S}
                  wait: PT2S
      """
    When the workflow is executed
    Then the workflow should fault with an error containing:
      """yaml
      status: 408
      instance: /do/0/l/do/0/a
      """

  Scenario: A task that takes too long fails, and its request is given up
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: timeout
        version: '1.0.0'
      do:
        - ask:
            timeout: {after: {seconds: 2}}
            call: http
            with: {method: get, endpoint: https://stub.example/a}
      """
    And given GET https://stub.example/a is answered with:
      """yaml
      after: PT5S
      """
    When the workflow is executed
    Then the workflow should fault with an error containing:
      """yaml
      type: https://open-workflow-specification.org/spec/1.0.0/errors/timeout
      status: 408
      instance: /do/0/ask
      """
    And the workflow should have waited PT2S

  Scenario: A task that is done in time
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: timeout
        version: '1.0.0'
      do:
        - ask:
            timeout: {after: PT2S}
            call: http
            with: {method: get, endpoint: https://stub.example/a}
        - rest:
            wait: PT9S
      """
    And given GET https://stub.example/a is answered with:
      """yaml
      content: {n: 1}
      after: PT1S
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      n: 1
      """
    And the workflow should have waited PT9S

  Scenario: A timeout of the document may be used by any task
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: timeout
        version: '1.0.0'
      use:
        timeouts:
          fast: {after: PT1S}
      do:
        - attempt:
            try:
              - slow:
                  timeout: fast
                  wait: PT5S
            catch:
              errors: {with: {status: 408}}
              do:
                - tell:
                    set: {late: true}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      late: true
      """
    And slow should fault

  Scenario: The timeout of a list is for all its tasks together
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: timeout
        version: '1.0.0'
      do:
        - list:
            timeout: {after: PT5S}
            do:
              - first:
                  wait: PT3S
              - second:
                  wait: PT3S
              - third:
                  set: {reached: true}
      """
    When the workflow is executed
    Then the workflow should fault with an error containing:
      """yaml
      status: 408
      instance: /do/0/list
      """
    And first should complete
    And second should cancel
    And third should not run

  Scenario: The timeout of the workflow ends all of it
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: timeout
        version: '1.0.0'
      timeout: {after: '${ .patience }'}
      do:
        - both:
            fork:
              branches:
                - long:
                    wait: PT1H
                - longer:
                    wait: PT2H
      """
    And given the workflow input is:
      """yaml
      patience: PT10S
      """
    When the workflow is executed
    Then the workflow should fault with an error containing:
      """yaml
      type: https://open-workflow-specification.org/spec/1.0.0/errors/timeout
      status: 408
      """
    And the workflow should have waited PT10S

  Scenario: The attempts of a retry are limited in time one by one
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: timeout
        version: '1.0.0'
      do:
        - attempt:
            try:
              - ask:
                  call: http
                  with: {method: get, endpoint: https://stub.example/a}
            catch:
              retry: {delay: PT1S, limit: {attempt: {count: 2, duration: PT2S}}}
      """
    And given GET https://stub.example/a is answered with:
      """yaml
      - after: PT9S
      - after: PT9S
      - content: {n: 3}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      n: 3
      """
    And the workflow should have waited PT2S, PT1S, PT2S, PT1S

  Scenario: A loop is given up in the middle
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: timeout
        version: '1.0.0'
      do:
        - loop:
            timeout: {after: PT5S}
            for: {each: n, in: '${ [1, 2, 3] }'}
            do:
              - rest:
                  wait: PT2S
              - ask:
                  call: http
                  with: {method: post, endpoint: https://stub.example/a, body: '${ $n }'}
      """
    When the workflow is executed
    Then the workflow should fault with an error containing:
      """yaml
      status: 408
      instance: /do/0/loop
      """
    And these requests should have been made:
      """yaml
      - {request: POST https://stub.example/a, body: 1}
      - {request: POST https://stub.example/a, body: 2}
      """
