Feature: Emit Task
  What is published

  Scenario: The output is the event, completed by what every event has
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: emit
        version: '1.0.0'
      do:
        - announce:
            emit:
              event:
                with:
                  source: https://stub.example
                  type: com.example.order.placed.v1
                  subject: ${ .id }
                  data: {id: '${ .id }', price: 3}
      """
    And given the workflow input is:
      """yaml
      id: o-1
      """
    When the workflow is executed
    Then the workflow should complete
    And the workflow output should have properties 'id', 'specversion', 'time', 'datacontenttype'
    And the workflow output should have a 'subject' property with value:
      """yaml
      o-1
      """
    And the workflow output should have a 'data' property with value:
      """yaml
      {id: o-1, price: 3}
      """
    And these events should have been emitted:
      """yaml
      - {source: https://stub.example, type: com.example.order.placed.v1, subject: o-1, data: {id: o-1, price: 3}}
      """

  Scenario: An event has attributes of its own
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: emit
        version: '1.0.0'
      do:
        - announce:
            emit:
              event:
                with:
                  source: ${ "https://stub.example/\(.shop)" }
                  type: com.example.order.placed.v1
                  priority: 3
                  tenant: ${ .tenant }
      """
    And given the workflow input is:
      """yaml
      shop: north
      tenant: t-1
      """
    When the workflow is executed
    Then the workflow should complete
    And these events should have been emitted:
      """yaml
      - {source: https://stub.example/north, type: com.example.order.placed.v1, priority: 3, tenant: t-1}
      """

  Scenario: Events are emitted in the order of their tasks
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: emit
        version: '1.0.0'
      do:
        - begin:
            emit: {event: {with: {source: https://stub.example, type: begun}}}
            output: {as: '${ null }'}
        - each:
            for: {each: n, in: '${ [1, 2] }'}
            do:
              - tell:
                  emit:
                    event:
                      with: {source: https://stub.example, type: counted, data: '${ $n }'}
        - close:
            emit: {event: {with: {source: https://stub.example, type: ended}}}
      """
    When the workflow is executed
    Then the workflow should complete
    And these events should have been emitted:
      """yaml
      - {type: begun}
      - {type: counted, data: 1}
      - {type: counted, data: 2}
      - {type: ended}
      """

  Scenario: What is no event is an error of validation
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: emit
        version: '1.0.0'
      do:
        - announce:
            emit: {event: {with: {source: https://stub.example, type: '${ .type }'}}}
      """
    And given the workflow input is:
      """yaml
      type: 5
      """
    When the workflow is executed
    Then the workflow should fault with an error containing:
      """yaml
      type: https://open-workflow-specification.org/spec/1.0.0/errors/validation
      status: 400
      instance: /do/0/announce
      """
