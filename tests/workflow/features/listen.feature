Feature: Listen Task
  Which events are consumed, and what is made of them

  Scenario: One event of a type, read as its data
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: listen
        version: '1.0.0'
      do:
        - l:
            listen: {to: {one: {with: {type: paid}}}}
      """
    And given these events arrive:
      """yaml
      - {after: PT1S, type: other, data: 1}
      - {after: PT2S, type: paid, data: {amount: 3}}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      - {amount: 3}
      """

  Scenario: An event that came before the listener started is not lost
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: listen
        version: '1.0.0'
      do:
        - w:
            wait: PT5S
        - l:
            listen: {to: {one: {with: {type: paid}}}}
      """
    And given these events arrive:
      """yaml
      - {after: PT1S, type: paid, data: 1}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      [1]
      """

  Scenario: An event is taken once, by the listener that comes first
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: listen
        version: '1.0.0'
      do:
        - first:
            listen: {to: {one: {with: {type: paid}}}}
        - second:
            listen: {to: {one: {with: {type: paid}}}}
            output: {as: '${ {second: .} }'}
      """
    And given these events arrive:
      """yaml
      - {after: PT1S, type: paid, data: 1}
      - {after: PT9S, type: paid, data: 2}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      second: [2]
      """

  Scenario: Listeners at the same time each get the event
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: listen
        version: '1.0.0'
      do:
        - f:
            fork:
              branches:
                - a:
                    listen: {to: {one: {with: {type: paid}}}}
                - b:
                    listen: {to: {any: []}}
      """
    And given these events arrive:
      """yaml
      - {after: PT1S, type: paid, data: 1}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      - [1]
      - [1]
      """

  Scenario: Read as envelope
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: listen
        version: '1.0.0'
      do:
        - l:
            listen: {to: {one: {with: {type: paid}}}, read: envelope}
      """
    And given these events arrive:
      """yaml
      - {after: PT1S, type: paid, subject: o-1}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      - {specversion: '1.0', id: '0', source: /test, type: paid, subject: o-1}
      """

  Scenario: Read as raw
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: listen
        version: '1.0.0'
      do:
        - l:
            listen:
              to:
                all:
                  - {with: {subject: json}}
                  - {with: {subject: text}}
                  - {with: {subject: binary}}
              read: raw
      """
    And given these events arrive:
      """yaml
      - {after: PT1S, type: x, subject: json, data: {a: 1}}
      - {after: PT2S, type: x, subject: text, data: hello}
      - {after: PT3S, type: x, subject: binary, data_base64: aGk=}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      ['{"a":1}', hello, aGk=]
      """

  Scenario: All of some events, in the order in which they came
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: listen
        version: '1.0.0'
      do:
        - l:
            listen: {to: {all: [{with: {type: a}}, {with: {type: b}}]}}
      """
    And given these events arrive:
      """yaml
      - {after: PT1S, type: b, data: 1}
      - {after: PT2S, type: b, data: 2}
      - {after: PT3S, type: a, data: 3}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      [1, 3]
      """

  Scenario: All of no events is done at once
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: listen
        version: '1.0.0'
      do:
        - l:
            listen: {to: {all: []}}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      []
      """

  Scenario: Any of some events is done with the first
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: listen
        version: '1.0.0'
      do:
        - l:
            listen: {to: {any: [{with: {type: a}}, {with: {type: b}}]}}
      """
    And given these events arrive:
      """yaml
      - {after: PT1S, type: c}
      - {after: PT2S, type: b, data: 2}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      [2]
      """

  Scenario: Any until a condition over what was consumed
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: listen
        version: '1.0.0'
      do:
        - l:
            listen: {to: {any: [], until: (. | length) > 2}}
      """
    And given these events arrive:
      """yaml
      - {after: PT1S, type: a, data: 1}
      - {after: PT2S, type: b, data: 2}
      - {after: PT3S, type: c, data: 3}
      - {after: PT4S, type: d, data: 4}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      [1, 2, 3]
      """

  Scenario: Any until another event, which is not consumed
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: listen
        version: '1.0.0'
      do:
        - l:
            listen:
              to:
                any: [{with: {type: a}}]
                until: {one: {with: {type: stop}}}
      """
    And given these events arrive:
      """yaml
      - {after: PT1S, type: a, data: 1}
      - {after: PT2S, type: b, data: 2}
      - {after: PT3S, type: a, data: 3}
      - {after: PT4S, type: stop}
      - {after: PT5S, type: a, data: 5}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      [1, 3]
      """

  Scenario: What ends it correlates with what it consumes
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: listen
        version: '1.0.0'
      do:
        - l:
            listen:
              to:
                any: [{with: {type: a}, correlate: {order: {from: .order}}}]
                until: {one: {with: {type: stop}, correlate: {order: {from: .order}}}}
      """
    And given these events arrive:
      """yaml
      - {after: PT1S, type: a, data: {order: 1}}
      - {after: PT2S, type: a, data: {order: 2}}
      - {after: PT3S, type: stop, data: {order: 2}}
      - {after: PT4S, type: a, data: {order: 1}}
      - {after: PT5S, type: stop, data: {order: 1}}
      - {after: PT6S, type: a, data: {order: 1}}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      [{order: 1}, {order: 1}]
      """

  Scenario: Any until all of some events came
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: listen
        version: '1.0.0'
      do:
        - l:
            listen:
              to:
                any: [{with: {type: a}}]
                until: {all: [{with: {type: x}}, {with: {type: y}}]}
      """
    And given these events arrive:
      """yaml
      - {after: PT1S, type: x}
      - {after: PT2S, type: a, data: 1}
      - {after: PT3S, type: y}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      [1]
      """

  Scenario: Attributes by value, by pattern and by expression
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: listen
        version: '1.0.0'
      do:
        - l:
            listen:
              to:
                all:
                  - {with: {type: com\.shop\.(paid|sent), source: /te?st}}
                  - with:
                      subject: ${ "o-\($input.n)" }
                      time: ${ . > "2026" }
      """
    And given the workflow input is:
      """yaml
      n: 7
      """
    And given these events arrive:
      """yaml
      - {after: PT1S, type: com.shop.lost, data: 1}
      - {after: PT2S, type: com.shop.paid.x, data: 2}
      - {after: PT3S, type: com.shop.paid, data: 3}
      - after: PT4S
        type: x
        subject: o-7
        time: '2025-01-01T00:00:00Z'
        data: 4
      - after: PT5S
        type: x
        subject: o-7
        time: '2026-01-01T00:00:00Z'
        data: 5
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      [3, 5]
      """

  Scenario: Data by a condition, by members and by value
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: listen
        version: '1.0.0'
      do:
        - l:
            listen:
              to:
                all:
                  - {with: {type: t, data: '${ .temperature > 38 }'}}
                  - with:
                      data: {kind: bpm, at: {room: '${ startswith("i") }'}}
                  - {with: {data: 5}}
      """
    And given these events arrive:
      """yaml
      - {after: PT1S, type: t, data: {temperature: 37}}
      - {after: PT2S, type: t, data: {temperature: 39}}
      - {after: PT3S, type: x, data: {kind: bpm, at: {room: a1}}}
      - after: PT4S
        type: x
        data: {kind: bpm, at: {room: i1, bed: 2}, more: 1}
      - {after: PT5S, type: x, data: true}
      - {after: PT6S, type: x, data: 5}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      - {temperature: 39}
      - {kind: bpm, at: {room: i1, bed: 2}, more: 1}
      - 5
      """

  Scenario: A filter that fails matches nothing
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: listen
        version: '1.0.0'
      do:
        - l:
            listen: {to: {one: {with: {type: t, data: '${ .a.b.c > 1 }'}}}}
      """
    And given these events arrive:
      """yaml
      - {after: PT1S, type: t, data: 5}
      - {after: PT2S, type: t, data: {a: {b: {c: 2}}}}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      - {a: {b: {c: 2}}}
      """

  Scenario: Correlation with what is expected
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: listen
        version: '1.0.0'
      do:
        - l:
            listen:
              to:
                one:
                  with: {type: paid}
                  correlate: {order: {from: .data.order, expect: '${ .id }'}}
      """
    And given the workflow input is:
      """yaml
      id: o-2
      """
    And given these events arrive:
      """yaml
      - {after: PT1S, type: paid, data: {order: o-1}}
      - {after: PT2S, type: paid, data: {order: o-2}}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      - {order: o-2}
      """

  Scenario: Correlation with the first value that came, found in the data when the event has none of that name
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: listen
        version: '1.0.0'
      do:
        - l:
            listen:
              to:
                all:
                  - {with: {type: a}, correlate: {room: {from: .roomid}}}
                  - {with: {type: b}, correlate: {room: {from: .roomid}}}
      """
    And given these events arrive:
      """yaml
      - {after: PT1S, type: a, roomid: r1, data: 1}
      - {after: PT2S, type: b, roomid: r2, data: 2}
      - {after: PT3S, type: b, data: {roomid: r1}}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      - 1
      - {roomid: r1}
      """

  Scenario: Something is done for each event, one after the other
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: listen
        version: '1.0.0'
      do:
        - l:
            listen: {to: {any: [], until: . | length == 3}}
            foreach:
              item: e
              at: i
              do:
                - w:
                    wait: PT5S
                - s:
                    set: {n: '${ $i }', twice: '${ $e * 2 }'}
              output: {as: '${ . + {i: $i} }'}
              export: {as: '${ {sum: (($context.sum // 0) + .twice)} }'}
        - after:
            set: {list: '${ . }', sum: '${ $context.sum }'}
      """
    And given these events arrive:
      """yaml
      - {after: PT1S, type: a, data: 1}
      - {after: PT2S, type: a, data: 2}
      - {after: PT3S, type: a, data: 3}
      - {after: PT4S, type: a, data: 4}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      list:
        - {n: 0, twice: 2, i: 0}
        - {n: 1, twice: 4, i: 1}
        - {n: 2, twice: 6, i: 2}
      sum: 12
      """

  Scenario: Foreach without tasks shapes each item
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: listen
        version: '1.0.0'
      do:
        - l:
            listen: {to: {any: [], until: length == 2}}
            foreach: {output: {as: .n}}
      """
    And given these events arrive:
      """yaml
      - {after: PT1S, type: a, data: {n: 1}}
      - {after: PT2S, type: a, data: {n: 2}}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      [1, 2]
      """

  Scenario: An error inside foreach ends the listening
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: listen
        version: '1.0.0'
      do:
        - t:
            try:
              - l:
                  listen: {to: {any: [], until: '${ false }'}}
                  foreach:
                    do:
                      - r:
                          raise: {error: {type: x, status: 500}}
            catch:
              do:
                - c:
                    set: {caught: true}
        - w:
            wait: PT9S
      """
    And given these events arrive:
      """yaml
      - {after: PT1S, type: a}
      - {after: PT2S, type: a}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      caught: true
      """

  Scenario: A listener has a timeout
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: listen
        version: '1.0.0'
      do:
        - l:
            timeout: {after: PT3S}
            listen: {to: {one: {with: {type: paid}}}}
      """
    And given these events arrive:
      """yaml
      - {after: PT1S, type: other}
      - {after: PT4S, type: paid}
      """
    When the workflow is executed
    Then the workflow should fault with an error containing:
      """yaml
      status: 408
      """

  Scenario: The loser of a race stops listening
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: listen
        version: '1.0.0'
      do:
        - f:
            fork:
              compete: true
              branches:
                - a:
                    listen: {to: {one: {with: {type: paid}}}}
                - b:
                    wait: PT2S
        - w:
            wait: PT9S
      """
    And given the workflow input is:
      """yaml
      n: 1
      """
    And given these events arrive:
      """yaml
      - {after: PT3S, type: paid}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      n: 1
      """

  Scenario: A cancelled execution stops listening
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: listen
        version: '1.0.0'
      do:
        - l:
            listen: {to: {one: {with: {type: paid}}}}
      """
    And given these events arrive:
      """yaml
      - {after: PT3S, type: paid}
      """
    And given the workflow is cancelled after PT1S
    When the workflow is executed
    Then the workflow should cancel

  Scenario: Without an event it waits
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: listen
        version: '1.0.0'
      do:
        - payment:
            listen: {to: {one: {with: {type: paid}}}}
        - never:
            set: {n: 1}
      """
    And given these events arrive:
      """yaml
      - {after: PT1S, type: refused}
      """
    When the workflow is executed
    Then the workflow should be waiting
    And never should not run

  Scenario: What was emitted by the task before may be listened for by a branch
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: listen
        version: '1.0.0'
      do:
        - both:
            fork:
              branches:
                - hear:
                    listen: {to: {one: {with: {type: ping}}}}
                - say:
                    do:
                      - rest:
                          wait: PT1S
                      - ping:
                          emit: {event: {with: {source: https://stub.example, type: ping, data: 1}}}
                          output: {as: .data}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      - [1]
      - 1
      """
