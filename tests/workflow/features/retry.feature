Feature: Retry
  When a task is tried again, and how often

  Scenario: A linear back-off grows by the delay
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: retry
        version: '1.0.0'
      do:
        - t:
            try:
              - a:
                  call: http
                  with: {method: post, endpoint: https://stub.example/a}
            catch:
              retry:
                delay: PT1S
                backoff: {linear: {}}
                limit: {attempt: {count: 3}}
      """
    And given the workflow input is:
      """yaml
      n: 1
      """
    And given POST https://stub.example/a is answered with:
      """yaml
      status: 503
      content: null
      """
    When the workflow is executed
    Then the workflow should fault with an error containing:
      """yaml
      status: 503
      """
    And the workflow should have waited PT1S, PT2S, PT3S

  Scenario: An exponential back-off doubles
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: retry
        version: '1.0.0'
      do:
        - t:
            try:
              - a:
                  call: http
                  with: {method: post, endpoint: https://stub.example/a}
            catch:
              retry:
                delay: PT1S
                backoff: {exponential: {}}
                limit: {attempt: {count: 4}}
      """
    And given POST https://stub.example/a is answered with:
      """yaml
      - {status: 503, content: null}
      - {status: 503, content: null}
      - {status: 503, content: null}
      - {status: 503, content: null}
      - {status: 200}
      """
    When the workflow is executed
    Then the workflow should complete
    And the workflow should have waited PT1S, PT2S, PT4S, PT8S

  Scenario: A limit in time ends the retries
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: retry
        version: '1.0.0'
      do:
        - t:
            try:
              - a:
                  call: http
                  with: {method: post, endpoint: https://stub.example/a}
            catch:
              retry: {delay: PT2S, limit: {duration: PT5S}}
              do:
                - c:
                    set: {gave: up}
      """
    And given POST https://stub.example/a is answered with:
      """yaml
      status: 503
      content: null
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      gave: up
      """
    And the workflow should have waited PT2S, PT2S

  Scenario: Catch.do runs once, after the last retry, with the original input
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: retry
        version: '1.0.0'
      do:
        - t:
            try:
              - a:
                  set: {changed: 1}
              - b:
                  call: http
                  with: {method: post, endpoint: https://stub.example/b}
            catch:
              retry: {limit: {attempt: {count: 1}}}
              do:
                - c:
                    call: http
                    with:
                      method: post
                      endpoint: https://stub.example/c
                      body: {in: '${ . }', was: '${ $error.status }'}
      """
    And given the workflow input is:
      """yaml
      n: 1
      """
    And given POST https://stub.example/b is answered with:
      """yaml
      status: 503
      content: null
      """
    When the workflow is executed
    Then the workflow should complete
    And these requests should have been made:
      """yaml
      - POST https://stub.example/b
      - POST https://stub.example/b
      - {request: POST https://stub.example/c, body: {in: {n: 1}, was: 503}}
      """

  Scenario: A retry policy can be used by reference
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: retry
        version: '1.0.0'
      use: {retries: {thrice: {delay: PT1S, limit: {attempt: {count: 3}}}}}
      do:
        - t:
            try:
              - a:
                  call: http
                  with: {method: post, endpoint: https://stub.example/a}
            catch: {retry: thrice}
      """
    And given POST https://stub.example/a is answered with:
      """yaml
      - {status: 500, content: null}
      - {status: 500, content: null}
      - {status: 500, content: null}
      - {content: {ok: 1}}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      ok: 1
      """

  Scenario: When and exceptWhen of the policy decide whether to try again
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: retry
        version: '1.0.0'
      do:
        - t:
            try:
              - a:
                  call: http
                  with: {method: post, endpoint: https://stub.example/a}
            catch:
              retry:
                when: $error.status >= 500
                exceptWhen: $error.status == 501
                limit: {attempt: {count: 5}}
              do:
                - c:
                    set: {gave: '${ $error.status }'}
      """
    And given POST https://stub.example/a is answered with:
      """yaml
      - {status: 500, content: null}
      - {status: 501, content: null}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      gave: 501
      """
    And these requests should have been made:
      """yaml
      - POST https://stub.example/a
      - POST https://stub.example/a
      """

  Scenario: A delay may be an expression
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: retry
        version: '1.0.0'
      do:
        - t:
            try:
              - a:
                  call: http
                  with: {method: post, endpoint: https://stub.example/a}
            catch:
              retry: {delay: '${ .pause }', limit: {attempt: {count: 1}}}
      """
    And given the workflow input is:
      """yaml
      pause: {seconds: 4}
      """
    And given POST https://stub.example/a is answered with:
      """yaml
      - {status: 503, content: null}
      - {status: 200}
      """
    When the workflow is executed
    Then the workflow should complete
    And the workflow should have waited PT4S

  Scenario: A linear back-off grows by its increment, up to its longest delay
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: retry
        version: '1.0.0'
      do:
        - t:
            try:
              - a:
                  raise: {error: {type: x, status: 500}}
            catch:
              retry:
                delay: PT1S
                backoff: {linear: {increment: PT3S, maxDelay: PT5S}}
                limit: {attempt: {count: 3}}
      """
    When the workflow is executed
    Then the workflow should fault with an error containing:
      """yaml
      status: 500
      """
    And the workflow should have waited PT1S, PT4S, PT5S

  Scenario: An exponential back-off grows by its multiplier
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: retry
        version: '1.0.0'
      do:
        - t:
            try:
              - a:
                  raise: {error: {type: x, status: 500}}
            catch:
              retry:
                delay: PT1S
                backoff: {exponential: {multiplier: 3, maxDelay: PT20S}}
                limit: {attempt: {count: 4}}
      """
    When the workflow is executed
    Then the workflow should fault with an error containing:
      """yaml
      status: 500
      """
    And the workflow should have waited PT1S, PT3S, PT9S, PT20S

  Scenario: Retries in vain without catch.do are the error of the task
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: retry
        version: '1.0.0'
      do:
        - t:
            try:
              - a:
                  call: http
                  with: {method: post, endpoint: https://stub.example/a}
            catch: {retry: {delay: PT1S, limit: {attempt: {count: 1}}}}
        - b:
            set: {reached: true}
      """
    And given POST https://stub.example/a is answered with:
      """yaml
      status: 503
      content: null
      """
    When the workflow is executed
    Then the workflow should fault with an error containing:
      """yaml
      status: 503
      instance: /do/0/t/try/0/a
      """
    And the workflow should have waited PT1S

  Scenario: A constant back-off waits the same each time
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: retry
        version: '1.0.0'
      do:
        - attempt:
            try:
              - ask:
                  call: http
                  with: {method: post, endpoint: https://stub.example/a}
            catch:
              retry:
                delay: {seconds: 2}
                backoff: {constant: {}}
                limit: {attempt: {count: 2}}
      """
    And given POST https://stub.example/a is answered with:
      """yaml
      - {status: 503, content: null}
      - {status: 503, content: null}
      - content: {ok: 1}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      ok: 1
      """
    And the workflow should have waited PT2S, PT2S

  Scenario: The whole block is tried again, with what it began with
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: retry
        version: '1.0.0'
      do:
        - attempt:
            try:
              - count:
                  set: {n: '${ .n + 1 }'}
              - first:
                  call: http
                  with: {method: post, endpoint: https://stub.example/first, body: '${ .n }'}
              - second:
                  call: http
                  with: {method: post, endpoint: https://stub.example/second}
            catch:
              retry: {delay: PT1S, limit: {attempt: {count: 1}}}
      """
    And given the workflow input is:
      """yaml
      n: 1
      """
    And given POST https://stub.example/second is answered with:
      """yaml
      - {status: 500, content: null}
      - content: {done: true}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      done: true
      """
    And these requests should have been made:
      """yaml
      - {request: POST https://stub.example/first, body: 2}
      - POST https://stub.example/second
      - {request: POST https://stub.example/first, body: 2}
      - POST https://stub.example/second
      """

  Scenario: Jitter makes no wait shorter
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: retry
        version: '1.0.0'
      do:
        - attempt:
            try:
              - fail:
                  raise:
                    error: {type: https://stub.example/errors/wrong, status: 500}
            catch:
              retry: {delay: PT1S, jitter: {from: PT2S, to: PT2S}, limit: {attempt: {count: 1}}}
      """
    When the workflow is executed
    Then the workflow should fault
    And the workflow should have waited PT3S

  Scenario: An error that is not caught is not tried again
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: retry
        version: '1.0.0'
      do:
        - attempt:
            try:
              - ask:
                  call: http
                  with: {method: get, endpoint: https://stub.example/a}
            catch:
              errors: {with: {status: 503}}
              retry: {delay: PT1S, limit: {attempt: {count: 3}}}
      """
    And given GET https://stub.example/a is answered with:
      """yaml
      status: 404
      content: null
      """
    When the workflow is executed
    Then the workflow should fault with an error containing:
      """yaml
      status: 404
      """
    And these requests should have been made:
      """yaml
      - GET https://stub.example/a
      """
    And the workflow should not have waited
