Feature: For Task
  Items, indexes, and when a loop ends

  Scenario: Each iteration's output is the next one's input
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: for
        version: '1.0.0'
      do:
        - loop:
            for: {each: color, in: .colors}
            do:
              - mark:
                  set:
                    colors: ${ .colors }
                    seen: ${ .seen + [[$color, $index]] }
      """
    And given the workflow input is:
      """yaml
      colors: [red, green]
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      colors: [red, green]
      seen: [[red, 0], [green, 1]]
      """

  Scenario: Nothing to iterate over leaves the data as it is
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: for
        version: '1.0.0'
      do:
        - loop:
            for: {in: .list}
            do:
              - a:
                  set: {n: 1}
      """
    And given the workflow input is:
      """yaml
      list: []
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      list: []
      """

  Scenario: Item and index are the variables' default names
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: for
        version: '1.0.0'
      do:
        - loop:
            for: {in: '["x"]'}
            do:
              - a:
                  set: {item: '${ $item }', index: '${ $index }'}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      item: x
      index: 0
      """

  Scenario: An array may be written out
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: for
        version: '1.0.0'
      do:
        - loop:
            for: {each: c, in: [{n: 1}, {n: 2}]}
            do:
              - a:
                  set: ${ . + $c.n }
      """
    And given the workflow input is:
      """yaml
      0
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      3
      """

  Scenario: While ends the loop early
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: for
        version: '1.0.0'
      do:
        - loop:
            for: {in: '[1, 2, 3, 4]'}
            while: . < 3
            do:
              - a:
                  set: ${ . + $item }
      """
    And given the workflow input is:
      """yaml
      0
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      3
      """

  Scenario: While sees the loop's variables
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: for
        version: '1.0.0'
      do:
        - loop:
            for: {each: n, in: '[1, 2, 9, 1]'}
            while: $n < 5
            do:
              - a:
                  set: ${ . + $n }
      """
    And given the workflow input is:
      """yaml
      0
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      3
      """

  Scenario: A while that fails is an error of the loop
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: for
        version: '1.0.0'
      do:
        - loop:
            for: {in: '[1]'}
            while: .a.b
            do:
              - a:
                  set: {n: 1}
      """
    And given the workflow input is:
      """yaml
      a: 1
      """
    When the workflow is executed
    Then the workflow should fault with an error containing:
      """yaml
      instance: /do/0/loop
      status: 400
      """

  Scenario: A long loop without waiting does not grow the stack
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: for
        version: '1.0.0'
      do:
        - loop:
            for: {in: '[range(1200)]'}
            do:
              - a:
                  if: 'false'
                  set: {n: 1}
      """
    And given the workflow input is:
      """yaml
      n: 0
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      n: 0
      """

  Scenario: Loops inside loops
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: for
        version: '1.0.0'
      do:
        - outer:
            for: {each: a, in: '${ [1, 2] }', at: i}
            do:
              - inner:
                  for: {each: b, in: '${ ["x", "y"] }', at: j}
                  do:
                    - hit:
                        call: http
                        with:
                          method: post
                          endpoint: https://stub.example/hit
                          body: ${ [$a, $b, $i, $j] }
      """
    When the workflow is executed
    Then the workflow should complete
    And these requests should have been made:
      """yaml
      - {request: POST https://stub.example/hit, body: [1, x, 0, 0]}
      - {request: POST https://stub.example/hit, body: [1, y, 0, 1]}
      - {request: POST https://stub.example/hit, body: [2, x, 1, 0]}
      - {request: POST https://stub.example/hit, body: [2, y, 1, 1]}
      """

  Scenario: An error of one iteration can be caught within it
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: for
        version: '1.0.0'
      do:
        - loop:
            for: {each: n, in: '${ [1, 2, 3] }'}
            do:
              - attempt:
                  try:
                    - check:
                        if: $n == 2
                        raise:
                          error: {type: https://stub.example/errors/two, status: 400}
                    - keep:
                        set: '${ . + [$n] }'
                  catch:
                    do:
                      - note:
                          set: '${ . + [-$n] }'
      """
    And given the workflow input is:
      """yaml
      []
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      [1, -2, 3]
      """
