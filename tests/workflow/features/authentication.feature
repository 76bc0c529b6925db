Feature: Authentication
  How calls prove themselves, and by which secrets

  Scenario: An authentication is made of the input and of the context
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: authentication
        version: '1.0.0'
      do:
        - begin:
            set: {user: ann, word: geheim}
            export: {as: '${ {word} }'}
        - one:
            call: http
            with:
              method: get
              endpoint:
                uri: https://stub.example/a
                authentication:
                  basic:
                    username: ${ .user }
                    password: ${ $context.word }
      """
    When the workflow is executed
    Then the workflow should complete
    And these requests should have been made:
      """yaml
      - GET https://stub.example/a
      """

  Scenario: An authentication of the document sees the loop around the call that uses it
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: authentication
        version: '1.0.0'
      use: {authentications: {shop: {bearer: {token: '${ $item }'}}}}
      do:
        - loop:
            for: {in: '["a", "b"]'}
            do:
              - one:
                  call: http
                  with:
                    method: get
                    endpoint:
                      uri: https://stub.example/a
                      authentication: {use: shop}
      """
    When the workflow is executed
    Then the workflow should complete
    And these requests should have been made:
      """yaml
      - GET https://stub.example/a
      - GET https://stub.example/a
      """

  Scenario: A user and a password of the context
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: authentication
        version: '1.0.0'
      do:
        - begin:
            set: {user: ann}
            export: {as: '${ {word: "geheim"} }'}
        - ask:
            call: http
            with:
              method: get
              endpoint:
                uri: https://stub.example/a
                authentication:
                  basic: {username: '${ .user }', password: '${ $context.word }'}
      """
    When the workflow is executed
    Then the workflow should complete
    And these requests should have been made:
      """yaml
      - request: GET https://stub.example/a
        headers: {authorization: Basic YW5uOmdlaGVpbQ==}
      """

  Scenario: A bearer token of the input
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: authentication
        version: '1.0.0'
      do:
        - ask:
            call: http
            with:
              method: get
              endpoint:
                uri: https://stub.example/a
                authentication:
                  bearer: {token: '${ .token }'}
      """
    And given the workflow input is:
      """yaml
      token: t-1
      """
    When the workflow is executed
    Then the workflow should complete
    And these requests should have been made:
      """yaml
      - request: GET https://stub.example/a
        headers: {authorization: Bearer t-1}
      """

  Scenario: An authentication of the document may be used by any call
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: authentication
        version: '1.0.0'
      use:
        authentications:
          shop:
            bearer: {token: '${ $workflow.input.token }'}
      do:
        - first:
            call: http
            with:
              method: get
              endpoint:
                uri: https://stub.example/a
                authentication: {use: shop}
        - second:
            call: http
            with:
              method: get
              endpoint:
                uri: https://stub.example/b
                authentication: {use: shop}
      """
    And given the workflow input is:
      """yaml
      token: t-1
      """
    When the workflow is executed
    Then the workflow should complete
    And these requests should have been made:
      """yaml
      - request: GET https://stub.example/a
        headers: {authorization: Bearer t-1}
      - request: GET https://stub.example/b
        headers: {authorization: Bearer t-1}
      """

  Scenario: A secret holds the user and the password
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: authentication
        version: '1.0.0'
      use:
        secrets: [shop]
      do:
        - ask:
            call: http
            with:
              method: get
              endpoint:
                uri: https://stub.example/a
                authentication:
                  basic: {use: shop}
      """
    And given the secrets are:
      """yaml
      shop: {username: ann, password: geheim}
      """
    When the workflow is executed
    Then the workflow should complete
    And these requests should have been made:
      """yaml
      - request: GET https://stub.example/a
        headers: {authorization: Basic YW5uOmdlaGVpbQ==}
      """

  Scenario: A digest is made of the service's challenge
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: authentication
        version: '1.0.0'
      do:
        - ask:
            call: http
            with:
              method: get
              endpoint:
                uri: https://stub.example/a
                authentication:
                  digest: {username: ann, password: geheim}
      """
    And given GET https://stub.example/a is answered with:
      """yaml
      - status: 401
        headers: {www-authenticate: 'Digest realm="r", nonce="n-1", algorithm=SHA-256, qop="auth"'}
        content: null
      - content: {seen: true}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      seen: true
      """
    And these requests should have been made:
      """yaml
      - GET https://stub.example/a
      - GET https://stub.example/a
      """

  Scenario: A token is got for a client's own credentials
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: authentication
        version: '1.0.0'
      do:
        - ask:
            call: http
            with:
              method: get
              endpoint:
                uri: https://stub.example/a
                authentication:
                  oauth2:
                    authority: https://idp.example
                    grant: client_credentials
                    client: {id: shop, secret: geheim}
                    scopes: [read, write]
      """
    And given POST https://idp.example/oauth2/token is answered with:
      """yaml
      content: {access_token: t-1, token_type: Bearer, expires_in: 60}
      """
    When the workflow is executed
    Then the workflow should complete
    And these requests should have been made:
      """yaml
      - request: POST https://idp.example/oauth2/token
        body: grant_type=client_credentials&scope=read+write&client_id=shop&client_secret=geheim
      - request: GET https://stub.example/a
        headers: {authorization: Bearer t-1}
      """

  Scenario: A client authenticates itself by Basic, at an endpoint of another name
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: authentication
        version: '1.0.0'
      do:
        - ask:
            call: http
            with:
              method: get
              endpoint:
                uri: https://stub.example/a
                authentication:
                  oauth2:
                    authority: https://idp.example
                    endpoints: {token: /token}
                    grant: client_credentials
                    client: {id: ann, secret: geheim, authentication: client_secret_basic}
      """
    And given POST https://idp.example/token is answered with:
      """yaml
      content: {access_token: t-1, token_type: Bearer}
      """
    When the workflow is executed
    Then the workflow should complete
    And these requests should have been made:
      """yaml
      - request: POST https://idp.example/token
        headers: {authorization: Basic YW5uOmdlaGVpbQ==}
        body: grant_type=client_credentials
      - request: GET https://stub.example/a
        headers: {authorization: Bearer t-1}
      """

  Scenario: An issuer of OpenID Connect says where its tokens are
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: authentication
        version: '1.0.0'
      do:
        - ask:
            call: http
            with:
              method: get
              endpoint:
                uri: https://stub.example/a
                authentication:
                  oidc:
                    authority: https://idp.example
                    grant: password
                    client: {id: shop, authentication: none}
                    username: ann
                    password: geheim
      """
    And given GET https://idp.example/.well-known/openid-configuration is answered with:
      """yaml
      content: {issuer: https://idp.example, token_endpoint: https://idp.example/connect/token}
      """
    And given POST https://idp.example/connect/token is answered with:
      """yaml
      content: {access_token: t-1, token_type: Bearer}
      """
    When the workflow is executed
    Then the workflow should complete
    And these requests should have been made:
      """yaml
      - GET https://idp.example/.well-known/openid-configuration
      - request: POST https://idp.example/connect/token
        body: grant_type=password&username=ann&password=geheim&client_id=shop
      - request: GET https://stub.example/a
        headers: {authorization: Bearer t-1}
      """

  Scenario: A token that is not given is an error of authentication
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: authentication
        version: '1.0.0'
      do:
        - ask:
            call: http
            with:
              method: get
              endpoint:
                uri: https://stub.example/a
                authentication:
                  oauth2:
                    authority: https://idp.example
                    grant: client_credentials
                    client: {id: shop, secret: wrong}
      """
    And given POST https://idp.example/oauth2/token is answered with:
      """yaml
      status: 400
      content: {error: invalid_client}
      """
    When the workflow is executed
    Then the workflow should fault with an error containing:
      """yaml
      type: https://open-workflow-specification.org/spec/1.0.0/errors/authentication
      status: 401
      instance: /do/0/ask
      """
    And these requests should have been made:
      """yaml
      - POST https://idp.example/oauth2/token
      """
