Feature: Run Task
  Other workflows, scripts and shell commands

  Scenario: A workflow is run with its input, and its output is the task's
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: run
        version: '1.0.0'
      do:
        - register:
            run:
              workflow:
                namespace: default
                name: register
                version: '1.0.0'
                input: {customer: '${ .user }'}
            output: {as: .welcome}
      """
    And given another workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: register
        version: '1.0.0'
      do:
        - greet:
            set: {welcome: '${ "Hello \(.customer)" }'}
      """
    And given the workflow input is:
      """yaml
      user: ann
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      Hello ann
      """

  Scenario: Without an input a workflow gets the task's
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: run
        version: '1.0.0'
      do:
        - double:
            input: {from: .number}
            run:
              workflow: {namespace: default, name: double, version: latest}
      """
    And given another workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: double
        version: '1.0.0'
      do:
        - twice:
            set: ${ . * 2 }
      """
    And given the workflow input is:
      """yaml
      number: 21
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      42
      """

  Scenario: What a workflow calls is called in its turn
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: run
        version: '1.0.0'
      do:
        - before:
            call: http
            with: {method: get, endpoint: https://stub.example/before}
        - part:
            run:
              workflow: {namespace: default, name: part, version: '1.0.0'}
        - after:
            call: http
            with: {method: get, endpoint: https://stub.example/after}
      """
    And given another workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: part
        version: '1.0.0'
      do:
        - within:
            call: http
            with: {method: post, endpoint: https://stub.example/within}
      """
    When the workflow is executed
    Then the workflow should complete
    And these requests should have been made:
      """yaml
      - GET https://stub.example/before
      - POST https://stub.example/within
      - GET https://stub.example/after
      """

  Scenario: A workflow's own context is not its caller's
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: run
        version: '1.0.0'
      do:
        - keep:
            set: {n: 1}
            export: {as: '${ {mine: 1} }'}
        - part:
            run:
              workflow: {namespace: default, name: part, version: '1.0.0'}
        - show:
            set: {theirs: '${ . }', mine: '${ $context }'}
      """
    And given another workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: part
        version: '1.0.0'
      do:
        - look:
            set: '${ $context }'
            export: {as: '${ {mine: 2} }'}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      theirs: {}
      mine: {mine: 1}
      """

  Scenario: The failure of a workflow is the task's
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: run
        version: '1.0.0'
      do:
        - attempt:
            try:
              - book:
                  run:
                    workflow: {namespace: default, name: book, version: '1.0.0'}
            catch:
              errors: {with: {status: 409}}
              as: problem
              do:
                - tell:
                    set: {type: '${ $problem.type }', title: '${ $problem.title }', at: '${ $problem.instance }'}
      """
    And given another workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: book
        version: '1.0.0'
      do:
        - refuse:
            raise:
              error: {type: https://stub.example/errors/taken, status: 409, title: Taken}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      type: https://stub.example/errors/taken
      title: Taken
      at: /do/0/attempt/try/0/book
      """

  Scenario: A workflow that is not awaited is begun, and the data pass through
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: run
        version: '1.0.0'
      do:
        - begin:
            run:
              await: false
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
        - other:
            set: {lost: true}
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
    And the workflow should not have waited

  Scenario: A workflow that takes too long is given up
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: run
        version: '1.0.0'
      do:
        - part:
            timeout: {after: PT5S}
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
    When the workflow is executed
    Then the workflow should fault with an error containing:
      """yaml
      type: https://open-workflow-specification.org/spec/1.0.0/errors/timeout
      status: 408
      """

  Scenario: The workflow of a branch that loses a race is given up
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: run
        version: '1.0.0'
      do:
        - race:
            fork:
              compete: true
              branches:
                - slow:
                    run:
                      workflow: {namespace: default, name: slow, version: '1.0.0'}
                - quick:
                    do:
                      - rest:
                          wait: PT1S
                      - win:
                          set: {won: quick}
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
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      won: quick
      """
    And slow should cancel

  Scenario: A workflow may wait in its own time
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: run
        version: '1.0.0'
      do:
        - both:
            fork:
              branches:
                - part:
                    run:
                      workflow: {namespace: default, name: slow, version: '1.0.0'}
                - other:
                    wait: PT10S
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
            wait: PT1M
        - done:
            set: {done: true}
      """
    And given the workflow input is:
      """yaml
      n: 1
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      - {done: true}
      - {n: 1}
      """

  Scenario: A shell command gets arguments, and yields what it printed
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: run
        version: '1.0.0'
      do:
        - greet:
            run:
              shell:
                command: 'printf "%s-%s" "$1" "$2"'
                arguments: [hello, '${ .name }']
      """
    And given the workflow input is:
      """yaml
      name: ann; echo lost
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      hello-ann; echo lost
      """

  Scenario: A shell command gets an environment
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: run
        version: '1.0.0'
      do:
        - greet:
            run:
              shell:
                command: 'printf "%s %s" "$WHO" "$NUMBER"'
                environment: {WHO: '${ .name }', NUMBER: '5'}
      """
    And given the workflow input is:
      """yaml
      name: ann
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      ann 5
      """

  Scenario: A shell command reads what it is sent
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: run
        version: '1.0.0'
      do:
        - sort:
            run:
              shell:
                command: sort -n | tr '\n' ' '
                stdin: '${ .numbers | map(tostring) | join("\n") }'
            output: {as: 'split(" ") | map(select(. != "") | tonumber)'}
      """
    And given the workflow input is:
      """yaml
      numbers: [3, 1, 2]
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      [1, 2, 3]
      """

  Scenario: What a process printed as errors is returned
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: run
        version: '1.0.0'
      do:
        - complain:
            run:
              shell: {command: 'printf out; printf oops >&2'}
              return: stderr
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      oops
      """

  Scenario: The code of a process is returned, and is then no error
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: run
        version: '1.0.0'
      do:
        - check:
            run:
              shell: {command: exit 3}
              return: code
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      3
      """

  Scenario: All that became of a process is returned
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: run
        version: '1.0.0'
      do:
        - check:
            run:
              shell: {command: 'printf out; printf err >&2; exit 2'}
              return: all
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      {code: 2, stdout: out, stderr: err}
      """

  Scenario: Nothing of a process is returned
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: run
        version: '1.0.0'
      do:
        - check:
            run:
              shell: {command: printf out}
              return: none
            output: {as: '${ {got: .} }'}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      got: null
      """

  Scenario: A process that fails is a runtime error
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: run
        version: '1.0.0'
      do:
        - check:
            run:
              shell: {command: exit 2}
      """
    When the workflow is executed
    Then the workflow should fault with an error containing:
      """yaml
      type: https://open-workflow-specification.org/spec/1.0.0/errors/runtime
      instance: /do/0/check
      """

  Scenario: The failure of a process can be caught
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: run
        version: '1.0.0'
      do:
        - attempt:
            try:
              - check:
                  run:
                    shell: {command: exit 2}
            catch:
              errors: {with: {type: https://open-workflow-specification.org/spec/1.0.0/errors/runtime}}
              do:
                - other:
                    run:
                      shell: {command: printf plan-b}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      plan-b
      """

  Scenario: A process that is not awaited is begun, and the data pass through
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: run
        version: '1.0.0'
      do:
        - begin:
            run:
              await: false
              shell: {command: exit 1}
        - rest:
            wait: PT9S
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

  Scenario: A script gets arguments and prints its result
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: run
        version: '1.0.0'
      do:
        - shape:
            run:
              script:
                language: python
                code: |
                  import json, sys
                  print(json.dumps({"letters": len(sys.argv[1])}))
                arguments: ['${ .word }']
            output: {as: fromjson}
      """
    And given the workflow input is:
      """yaml
      word: stage
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      letters: 5
      """
