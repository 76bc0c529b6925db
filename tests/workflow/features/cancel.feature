Feature: Cancellation
  What becomes of a workflow that is cancelled

  Scenario: A cancelled retry ends at once
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: cancel
        version: '1.0.0'
      do:
        - t:
            try:
              - a:
                  raise: {error: {type: x, status: 500}}
            catch: {retry: {delay: PT1H}}
      """
    And given the workflow is cancelled after PT2S
    When the workflow is executed
    Then the workflow should cancel

  Scenario: A cancelled fork drops its reads and ends
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: cancel
        version: '1.0.0'
      do:
        - f:
            fork:
              branches:
                - a:
                    call: http
                    with: {method: get, endpoint: https://stub.example/a}
                - b:
                    wait: PT1H
      """
    And given GET https://stub.example/a is answered with:
      """yaml
      after: PT100S
      """
    And given the workflow is cancelled after PT2S
    When the workflow is executed
    Then the workflow should cancel
    And a should cancel

  Scenario: A loop that is cancelled stops after the iteration on its way
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: cancel
        version: '1.0.0'
      do:
        - loop:
            for: {in: '[1, 2, 3]'}
            do:
              - a:
                  call: http
                  with: {method: post, endpoint: https://stub.example/a}
      """
    And given POST https://stub.example/a is answered with:
      """yaml
      after: PT5S
      """
    And given the workflow is cancelled after PT7S
    When the workflow is executed
    Then the workflow should cancel
    And these requests should have been made:
      """yaml
      - POST https://stub.example/a
      - POST https://stub.example/a
      """

  Scenario: A wait that is cancelled ends at once
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: cancel
        version: '1.0.0'
      do:
        - rest:
            wait: PT1H
        - after:
            set: {n: 1}
      """
    And given the workflow is cancelled after PT2S
    When the workflow is executed
    Then the workflow should cancel
    And rest should cancel
    And after should not run
    And the workflow should not have waited

  Scenario: The cancellation of a workflow is nothing to catch
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: cancel
        version: '1.0.0'
      do:
        - attempt:
            try:
              - rest:
                  wait: PT1H
            catch:
              do:
                - caught:
                    set: {caught: true}
      """
    And given the workflow is cancelled after PT2S
    When the workflow is executed
    Then the workflow should cancel
    And caught should not run

  Scenario: The workflow that is run is cancelled too
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: cancel
        version: '1.0.0'
      do:
        - part:
            run:
              workflow: {namespace: default, name: slow, version: '1.0.0'}
      """
    And given another workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: slow
        version: '1.0.0'
      do:
        - rest:
            wait: PT1H
      """
    And given the workflow is cancelled after PT2S
    When the workflow is executed
    Then the workflow should cancel
