Feature: Suspension
  What goes on while a workflow is suspended

  Scenario: The workflow's time goes on
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: suspend
        version: '1.0.0'
      timeout: {after: PT5S}
      do:
        - a:
            wait: PT2S
        - b:
            set: {n: 1}
      """
    And given the workflow is suspended after PT1S
    When the workflow is executed
    Then the workflow should fault with an error containing:
      """yaml
      status: 408
      """

  Scenario: Nothing new begins while it is suspended
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: suspend
        version: '1.0.0'
      do:
        - first:
            call: http
            with: {method: post, endpoint: https://stub.example/first}
        - second:
            call: http
            with: {method: post, endpoint: https://stub.example/second}
      """
    And given POST https://stub.example/first is answered with:
      """yaml
      after: PT5S
      """
    And given the workflow is suspended after PT1S
    When the workflow is executed
    Then the workflow should be suspended
    And first should complete
    And second should not run
    And these requests should have been made:
      """yaml
      - POST https://stub.example/first
      """

  Scenario: It goes on where it was
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: suspend
        version: '1.0.0'
      do:
        - first:
            wait: PT2S
        - second:
            wait: PT3S
        - third:
            set: {n: 1}
      """
    And given the workflow is suspended after PT1S
    And given the workflow is resumed after PT1M
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      n: 1
      """
    And the workflow should have waited PT2S, PT3S
    And second should run after first

  Scenario: One that is suspended can be cancelled
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: suspend
        version: '1.0.0'
      do:
        - first:
            wait: PT2S
        - second:
            set: {n: 1}
      """
    And given the workflow is suspended after PT1S
    And given the workflow is cancelled after PT10S
    When the workflow is executed
    Then the workflow should cancel
    And second should not run

  Scenario: An event that comes meanwhile is not lost
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: suspend
        version: '1.0.0'
      do:
        - payment:
            listen: {to: {one: {with: {type: paid}}}}
        - done:
            set: {paid: '${ .[0] }'}
      """
    And given these events arrive:
      """yaml
      - {after: PT5S, type: paid, data: 3}
      """
    And given the workflow is suspended after PT1S
    And given the workflow is resumed after PT1M
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      paid: 3
      """
