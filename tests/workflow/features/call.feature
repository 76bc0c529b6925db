Feature: Call HTTP
  What is sent, and what becomes of the answer

  Scenario: An answer without content yields null
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: call
        version: '1.0.0'
      do:
        - one:
            call: http
            with:
              method: delete
              endpoint: https://stub.example/a
      """
    And given DELETE https://stub.example/a is answered with:
      """yaml
      status: 204
      content: null
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      null
      """

  Scenario: A status that is no success is a communication error
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: call
        version: '1.0.0'
      do:
        - one:
            call: http
            with: {method: get, endpoint: https://stub.example/a}
      """
    And given GET https://stub.example/a is answered with:
      """yaml
      status: 404
      content: null
      """
    When the workflow is executed
    Then the workflow should fault with an error containing:
      """yaml
      type: https://open-workflow-specification.org/spec/1.0.0/errors/communication
      status: 404
      instance: /do/0/one
      """

  Scenario: A problem document's title and detail are kept
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: call
        version: '1.0.0'
      do:
        - one:
            call: http
            with: {method: post, endpoint: https://stub.example/a}
      """
    And given POST https://stub.example/a is answered with:
      """yaml
      status: 402
      content:
        type: https://pay.example/declined
        title: Card declined
        detail: Not enough money
        secret: x
      """
    When the workflow is executed
    Then the workflow should fault with an error containing:
      """yaml
      status: 402
      title: Card declined
      detail: Not enough money
      """

  Scenario: A redirection is an error by default
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: call
        version: '1.0.0'
      do:
        - one:
            call: http
            with: {method: get, endpoint: https://stub.example/a}
      """
    And given GET https://stub.example/a is answered with:
      """yaml
      status: 302
      content: null
      """
    When the workflow is executed
    Then the workflow should fault with an error containing:
      """yaml
      status: 302
      """

  Scenario: A redirection is an answer if the task says so
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: call
        version: '1.0.0'
      do:
        - one:
            call: http
            with:
              method: get
              endpoint: https://stub.example/a
              redirect: true
              output: response
            output: {as: .statusCode}
      """
    And given GET https://stub.example/a is answered with:
      """yaml
      status: 302
      content: null
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      302
      """

  Scenario: An endpoint may be an expression
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: call
        version: '1.0.0'
      do:
        - one:
            call: http
            with:
              method: get
              endpoint: ${ "https://stub.example/" + .path }
      """
    And given the workflow input is:
      """yaml
      path: a
      """
    When the workflow is executed
    Then the workflow should complete
    And these requests should have been made:
      """yaml
      - GET https://stub.example/a
      """

  Scenario: An empty variable cannot shorten the path
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: call
        version: '1.0.0'
      do:
        - one:
            call: http
            with:
              method: delete
              endpoint: https://stub.example/items/{id}
      """
    And given the workflow input is:
      """yaml
      id: ''
      """
    When the workflow is executed
    Then the workflow should fault with an error containing:
      """yaml
      status: 400
      """
    And no request should have been made

  Scenario: A variable cannot climb up the path
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: call
        version: '1.0.0'
      do:
        - one:
            call: http
            with:
              method: delete
              endpoint: https://stub.example/items/{id}
      """
    And given the workflow input is:
      """yaml
      id: ..
      """
    When the workflow is executed
    Then the workflow should fault with an error containing:
      """yaml
      status: 400
      """
    And no request should have been made

  Scenario: A variable of the query may be empty
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: call
        version: '1.0.0'
      do:
        - one:
            call: http
            with:
              method: get
              endpoint: https://stub.example/items?q={q}
      """
    And given the workflow input is:
      """yaml
      q: ''
      """
    When the workflow is executed
    Then the workflow should complete
    And these requests should have been made:
      """yaml
      - GET https://stub.example/items?q=
      """

  Scenario: Headers and query may each be one expression
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: call
        version: '1.0.0'
      do:
        - one:
            call: http
            with:
              method: get
              endpoint: https://stub.example/a
              headers: ${ .h }
              query: ${ .q }
      """
    And given the workflow input is:
      """yaml
      h: {Accept: text/plain}
      q: {a: 1.5}
      """
    When the workflow is executed
    Then the workflow should complete
    And these requests should have been made:
      """yaml
      - request: GET https://stub.example/a?a=1.5
        headers: {accept: text/plain}
      """

  Scenario: A line break cannot be smuggled into a header
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: call
        version: '1.0.0'
      do:
        - one:
            call: http
            with:
              method: get
              endpoint: https://stub.example/a
              headers: {X-A: '${ .h }'}
      """
    And given the workflow input is:
      """yaml
      h: "a\r\nX-B: b"
      """
    When the workflow is executed
    Then the workflow should fault with an error containing:
      """yaml
      status: 400
      """
    And no request should have been made

  Scenario: A function is called with its arguments as input
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: call
        version: '1.0.0'
      use:
        functions:
          getPet:
            call: http
            with:
              method: get
              endpoint: https://stub.example/{petId}
      do:
        - one:
            call: getPet
            with: {petId: '${ .id }'}
            output: {as: .name}
      """
    And given the workflow input is:
      """yaml
      id: 3
      """
    And given GET https://stub.example/3 is answered with:
      """yaml
      content: {name: Rex}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      Rex
      """
    And these requests should have been made:
      """yaml
      - GET https://stub.example/3
      """

  Scenario: A function without arguments gets the task's input
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: call
        version: '1.0.0'
      use:
        functions:
          echo:
            set: {got: '${ . }'}
      do:
        - one:
            input: {from: .inner}
            call: echo
      """
    And given the workflow input is:
      """yaml
      inner: 5
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      got: 5
      """

  Scenario: A function may be a list and call other functions
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: call
        version: '1.0.0'
      use:
        functions:
          inner:
            set: ${ . + 1 }
          outer:
            do:
              - a:
                  call: inner
              - b:
                  call: inner
      do:
        - one:
            call: outer
        - two:
            call: outer
      """
    And given the workflow input is:
      """yaml
      0
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      4
      """

  Scenario: A function does not see its caller's loop variables but its own data
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: call
        version: '1.0.0'
      use:
        functions:
          f:
            set: {n: '${ .n }'}
      do:
        - loop:
            for: {in: '[1, 2]'}
            do:
              - a:
                  call: f
                  with: {n: '${ $item }'}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      n: 2
      """

  Scenario: An error inside a function carries the reference of its caller
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: call
        version: '1.0.0'
      use:
        functions:
          f:
            call: http
            with: {method: get, endpoint: https://stub.example/a}
      do:
        - one:
            call: f
            with: {}
      """
    And given GET https://stub.example/a is answered with:
      """yaml
      status: 500
      content: null
      """
    When the workflow is executed
    Then the workflow should fault with an error containing:
      """yaml
      status: 500
      instance: /do/0/one
      """

  Scenario: A call sends its method, endpoint, query, headers and body
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: call
        version: '1.0.0'
      do:
        - order:
            call: http
            with:
              method: post
              endpoint: https://stub.example/items/{id}/parts?kind={kind}
              headers: {X-Tenant: '${ .tenant }', X-Count: '${ .count }'}
              query: {page: '${ .page }', gone: '${ .nothing }', on: '${ .on }'}
              body: {name: '${ .name }', fixed: [1]}
      """
    And given the workflow input is:
      """yaml
      {id: a/b, kind: x y, tenant: t1, count: 3, page: 2, on: true, name: n}
      """
    And given POST https://stub.example/items/a%2Fb/parts?kind=x%20y&page=2&on=true is answered with:
      """yaml
      status: 201
      content: {made: true}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      made: true
      """
    And these requests should have been made:
      """yaml
      - request: POST https://stub.example/items/a%2Fb/parts?kind=x%20y&page=2&on=true
        headers: {x-tenant: t1, x-count: '3', content-type: application/json}
        body: {name: n, fixed: [1]}
      """

  Scenario: The response tells of the request too
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: call
        version: '1.0.0'
      do:
        - ask:
            call: http
            with: {method: get, endpoint: https://stub.example/a, output: response}
      """
    And given GET https://stub.example/a is answered with:
      """yaml
      headers: {etag: x-1}
      content: {a: 1}
      """
    When the workflow is executed
    Then the workflow should complete
    And the workflow output should have properties 'request', 'request.headers', 'headers'
    And the workflow output should have a 'request.method' property with value:
      """yaml
      get
      """
    And the workflow output should have a 'request.uri' property with value:
      """yaml
      https://stub.example/a
      """
    And the workflow output should have a 'statusCode' property with value:
      """yaml
      200
      """
    And the workflow output should have a 'headers.etag' property with value:
      """yaml
      x-1
      """
    And the workflow output should have a 'content' property with value:
      """yaml
      a: 1
      """

  Scenario: Raw output is the content in base64
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: call
        version: '1.0.0'
      do:
        - ask:
            call: http
            with: {method: get, endpoint: https://stub.example/a, output: raw}
      """
    And given GET https://stub.example/a is answered with:
      """yaml
      headers: {content-type: text/plain}
      content: hi
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      aGk=
      """

  Scenario: The content of a text is the text
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: call
        version: '1.0.0'
      do:
        - ask:
            call: http
            with: {method: get, endpoint: https://stub.example/a}
      """
    And given GET https://stub.example/a is answered with:
      """yaml
      headers: {content-type: text/plain}
      content: '{"no": "object"}'
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      '{"no": "object"}'
      """

  Scenario: A form is sent as its content type says
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: call
        version: '1.0.0'
      do:
        - tell:
            call: http
            with:
              method: post
              endpoint: https://stub.example/form
              headers: {Content-Type: application/x-www-form-urlencoded}
              body: {name: '${ .name }', page: '2'}
      """
    And given the workflow input is:
      """yaml
      name: ann & co
      """
    When the workflow is executed
    Then the workflow should complete
    And these requests should have been made:
      """yaml
      - request: POST https://stub.example/form
        headers: {content-type: application/x-www-form-urlencoded}
        body: name=ann+%26+co&page=2
      """

  Scenario: A redirection is followed if the task says so
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: call
        version: '1.0.0'
      do:
        - ask:
            call: http
            with: {method: get, endpoint: https://stub.example/old, redirect: true}
      """
    And given GET https://stub.example/old is answered with:
      """yaml
      status: 301
      headers: {location: /new}
      content: null
      """
    And given GET https://stub.example/new is answered with:
      """yaml
      content: {moved: true}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      moved: true
      """
    And these requests should have been made:
      """yaml
      - GET https://stub.example/old
      - GET https://stub.example/new
      """

  Scenario: A redirection is no answer if the task does not say so
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: call
        version: '1.0.0'
      do:
        - ask:
            call: http
            with: {method: get, endpoint: https://stub.example/old}
      """
    And given GET https://stub.example/old is answered with:
      """yaml
      status: 301
      headers: {location: /new}
      content: null
      """
    When the workflow is executed
    Then the workflow should fault with an error containing:
      """yaml
      type: https://open-workflow-specification.org/spec/1.0.0/errors/communication
      status: 301
      """
    And these requests should have been made:
      """yaml
      - GET https://stub.example/old
      """

  Scenario: A function of a catalog is called by its address
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: call
        version: '1.0.0'
      do:
        - log:
            call: https://raw.githubusercontent.com/serverlessworkflow/catalog/main/functions/log/1.0.0/function.yaml
            with: {message: hello}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      logged: hello
      """

  Scenario: The parameters of an operation go where its description says
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: call
        version: '1.0.0'
      do:
        - find:
            call: openapi
            with:
              document: {endpoint: https://petstore.swagger.io/v2/swagger.json}
              operationId: findPetsByStatus
              parameters: {status: '${ .wanted }'}
      """
    And given the workflow input is:
      """yaml
      wanted: [available, sold]
      """
    And given GET https://petstore.swagger.io/v2/pet/findByStatus?status=available&status=sold is answered with:
      """yaml
      content: [{id: 1}, {id: 2}]
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      [{id: 1}, {id: 2}]
      """
