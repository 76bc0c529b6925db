Feature: Try Task
  Which errors are caught, and what is done then

  Scenario: A caught error runs the tasks of catch with the original input and the error
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: try
        version: '1.0.0'
      do:
        - t:
            try:
              - a:
                  set: {lost: 1}
              - b:
                  raise:
                    error:
                      type: about:blank
                      status: 400
                      title: Bad
                      detail: ${ "n is \($input.lost)" }
            catch:
              as: err
              do:
                - c:
                    set: {in: '${ . }', err: '${ $err }'}
      """
    And given the workflow input is:
      """yaml
      n: 1
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      in: {n: 1}
      err:
        type: about:blank
        status: 400
        title: Bad
        detail: n is 1
        instance: /do/0/t/try/1/b
      """

  Scenario: A caught error without tasks yields the try's input
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: try
        version: '1.0.0'
      do:
        - t:
            try:
              - a:
                  raise: {error: {type: about:blank, status: 400}}
            catch: {}
        - after:
            set: {n: '${ .n }'}
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

  Scenario: Errors are filtered by status
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: try
        version: '1.0.0'
      do:
        - t:
            try:
              - a:
                  call: http
                  with: {method: get, endpoint: https://stub.example/a}
            catch:
              errors: {with: {status: 503}}
              do:
                - c:
                    set: {caught: true}
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
      """

  Scenario: Every spelling of a standard error type is the same
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: try
        version: '1.0.0'
      do:
        - t:
            try:
              - a:
                  call: http
                  with: {method: get, endpoint: https://stub.example/a}
            catch:
              errors:
                with:
                  type: https://serverlessworkflow.io/dsl/errors/types/communication
                  status: 503
              do:
                - c:
                    set: {caught: true}
      """
    And given GET https://stub.example/a is answered with:
      """yaml
      status: 503
      content: null
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      caught: true
      """

  Scenario: An error type of another host is not the standard one
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: try
        version: '1.0.0'
      do:
        - t:
            try:
              - a:
                  call: http
                  with: {method: get, endpoint: https://stub.example/a}
            catch:
              errors: {with: {type: https://example.com/errors/communication}}
              do:
                - c:
                    set: {caught: true}
      """
    And given GET https://stub.example/a is answered with:
      """yaml
      status: 503
      content: null
      """
    When the workflow is executed
    Then the workflow should fault with an error containing:
      """yaml
      status: 503
      """

  Scenario: Errors are filtered by title, detail and instance
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: try
        version: '1.0.0'
      do:
        - t:
            try:
              - a:
                  raise:
                    error:
                      type: about:blank
                      status: 400
                      title: T
                      detail: D
            catch:
              errors: {with: {title: T, detail: D, instance: /do/0/t/try/0/a}}
              do:
                - c:
                    set: {caught: true}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      caught: true
      """

  Scenario: When and exceptWhen decide on the error and the input
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: try
        version: '1.0.0'
      do:
        - one:
            try:
              - a:
                  raise: {error: {type: x, status: 401}}
            catch:
              when: $error.status == 401 and .go
              do:
                - c:
                    set: {go: true, one: true}
        - two:
            try:
              - a:
                  raise: {error: {type: x, status: 402}}
            catch: {exceptWhen: $error.status == 402}
      """
    And given the workflow input is:
      """yaml
      go: true
      """
    When the workflow is executed
    Then the workflow should fault with an error containing:
      """yaml
      status: 402
      instance: /do/1/two/try/0/a
      """

  Scenario: A condition of catch that fails is the error
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: try
        version: '1.0.0'
      do:
        - t:
            try:
              - a:
                  raise: {error: {type: x, status: 401}}
            catch: {when: .n.a.b}
      """
    And given the workflow input is:
      """yaml
      n: 1
      """
    When the workflow is executed
    Then the workflow should fault with an error containing:
      """yaml
      status: 400
      instance: /do/0/t
      """

  Scenario: Catch.then decides where it goes on
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: try
        version: '1.0.0'
      do:
        - t:
            try:
              - a:
                  raise: {error: {type: x, status: 400}}
            catch: {then: failed}
            then: good
        - good:
            set: {went: good}
            then: end
        - failed:
            set: {went: failed}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      went: failed
      """

  Scenario: Without an error the try's own directive counts
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: try
        version: '1.0.0'
      do:
        - t:
            try:
              - a:
                  set: {n: 1}
            catch: {then: failed}
            then: good
        - failed:
            set: {went: failed}
            then: end
        - good:
            set: {went: good}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      went: good
      """

  Scenario: An error in catch is not caught by the same try
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: try
        version: '1.0.0'
      do:
        - t:
            try:
              - a:
                  raise: {error: {type: x, status: 400}}
            catch:
              do:
                - b:
                    raise: {error: {type: y, status: 500}}
      """
    When the workflow is executed
    Then the workflow should fault with an error containing:
      """yaml
      type: y
      status: 500
      instance: /do/0/t/catch/do/0/b
      """

  Scenario: An inner try that does not catch leaves it to the outer one
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: try
        version: '1.0.0'
      do:
        - outer:
            try:
              - inner:
                  try:
                    - a:
                        raise: {error: {type: x, status: 400}}
                  catch: {errors: {with: {status: 500}}}
            catch:
              do:
                - c:
                    set: {caught: '${ $error.status }'}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      caught: 400
      """

  Scenario: An error can be raised by reference
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: try
        version: '1.0.0'
      use:
        errors:
          broke:
            type: https://e.example/broke
            status: 402
            title: Broke
            detail: ${ .why }
      do:
        - a:
            raise: {error: broke}
      """
    And given the workflow input is:
      """yaml
      why: no money
      """
    When the workflow is executed
    Then the workflow should fault with an error containing:
      """yaml
      type: https://e.example/broke
      status: 402
      title: Broke
      detail: no money
      instance: /do/0/a
      """

  Scenario: A raised error may name another instance
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: try
        version: '1.0.0'
      do:
        - a:
            raise: {error: {type: x, status: 400, instance: /elsewhere}}
      """
    When the workflow is executed
    Then the workflow should fault with an error containing:
      """yaml
      instance: /elsewhere
      """
