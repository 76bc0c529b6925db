Feature: Secrets
  Where they go

  Scenario: A secret goes into a header
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: secrets
        version: '1.0.0'
      use:
        secrets: [key]
      do:
        - ask:
            call: http
            with:
              method: get
              endpoint: https://stub.example/a
              headers: {X-Key: '${ $secrets.key }'}
      """
    And given the secrets are:
      """yaml
      key: geheim
      """
    When the workflow is executed
    Then the workflow should complete
    And these requests should have been made:
      """yaml
      - request: GET https://stub.example/a
        headers: {x-key: geheim}
      """

  Scenario: A secret goes into a body, with other data
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: secrets
        version: '1.0.0'
      use:
        secrets: [account]
      do:
        - ask:
            call: http
            with:
              method: post
              endpoint: https://stub.example/a
              body: '${ {order: .order, user: $secrets.account.user} }'
      """
    And given the secrets are:
      """yaml
      account: {user: ann, password: geheim}
      """
    And given the workflow input is:
      """yaml
      order: 7
      """
    When the workflow is executed
    Then the workflow should complete
    And these requests should have been made:
      """yaml
      - request: POST https://stub.example/a
        body: {order: 7, user: ann}
      """
