Feature: Data Flow
  What tasks and expressions see, and what they hand on

  Scenario: The output of a task is the input of the next
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: data-flow
        version: '1.0.0'
      do:
        - one:
            set: {a: 1}
        - two:
            set: {b: '${ .a + 1 }'}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      b: 2
      """
    And one should run first
    And two should run after one
    And two should run last

  Scenario: Set replaces the data and does not merge it
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: data-flow
        version: '1.0.0'
      do:
        - one:
            set: {b: 2}
      """
    And given the workflow input is:
      """yaml
      a: 1
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      b: 2
      """

  Scenario: Set takes a whole expression
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: data-flow
        version: '1.0.0'
      do:
        - one:
            set: ${ .list | map(. * 2) }
      """
    And given the workflow input is:
      """yaml
      list: [1, 2]
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      [2, 4]
      """

  Scenario: Expressions may lie deep inside a value and keep its other parts
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: data-flow
        version: '1.0.0'
      do:
        - one:
            set: {a: [1, {b: '${ .x }', c: plain}], d: null, e: true}
      """
    And given the workflow input is:
      """yaml
      x: deep
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      a: [1, {b: deep, c: plain}]
      d: null
      e: true
      """

  Scenario: Text with a dollar sign that is no expression is taken literally
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: data-flow
        version: '1.0.0'
      do:
        - one:
            set: {price: $error, more: '5 ${ '}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      price: $error
      more: '5 ${ '
      """

  Scenario: Input.from filters what the task sees, as an expression with or without its wrapping
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: data-flow
        version: '1.0.0'
      do:
        - one:
            input: {from: .user}
            set: {name: '${ .name }', whole: '${ $input }'}
        - two:
            input: {from: '${ .whole.name }'}
            set: {n: '${ . }'}
      """
    And given the workflow input is:
      """yaml
      user: {name: ann}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      n: ann
      """

  Scenario: Input.from as an object builds the input
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: data-flow
        version: '1.0.0'
      do:
        - one:
            input: {from: {n: '${ .a }', fixed: 1}}
            set: ${ . }
      """
    And given the workflow input is:
      """yaml
      a: 5
      b: 6
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      n: 5
      fixed: 1
      """

  Scenario: Output.as sees the raw output, the input and the context
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: data-flow
        version: '1.0.0'
      do:
        - one:
            set: {a: 1}
            export: {as: '${ {kept: .a} }'}
        - two:
            set: {b: 2}
            output: {as: '{b, in: $input.a, kept: $context.kept}'}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      b: 2
      in: 1
      kept: 1
      """

  Scenario: Export.as sees the transformed output and replaces the context
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: data-flow
        version: '1.0.0'
      do:
        - one:
            set: {a: 1, b: 2}
            output: {as: .a}
            export: {as: '${ {out: $output, same: .} }'}
        - two:
            set: ${ $context }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      out: 1
      same: 1
      """

  Scenario: The context begins as an empty object
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: data-flow
        version: '1.0.0'
      do:
        - one:
            set: '${ $context + {a: 1} }'
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      a: 1
      """

  Scenario: A condition is evaluated on the transformed input
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: data-flow
        version: '1.0.0'
      do:
        - one:
            input: {from: .inner}
            if: .go
            set: {went: true}
      """
    And given the workflow input is:
      """yaml
      inner: {go: true}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      went: true
      """

  Scenario: Null and false are no, zero and the empty string are yes
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: data-flow
        version: '1.0.0'
      do:
        - one:
            if: .zero
            set: {n: '${ .n + 1 }', zero: 0, empty: ''}
        - two:
            if: .empty
            set: {n: '${ .n + 1 }'}
        - three:
            if: .missing
            set: {n: 100}
      """
    And given the workflow input is:
      """yaml
      zero: 0
      empty: ''
      n: 0
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      n: 2
      """

  Scenario: The workflow's own input and output are transformed
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: data-flow
        version: '1.0.0'
      input: {from: .order}
      output: {as: '{result: ., id: $input.id, from: $workflow.input.id}'}
      do:
        - one:
            set: {ok: true}
      """
    And given the workflow input is:
      """yaml
      order: {id: 7}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      result: {ok: true}
      id: 7
      from: 7
      """

  Scenario: An output of the workflow that fails faults it
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: data-flow
        version: '1.0.0'
      output: {as: .a.b.c}
      do:
        - one:
            set: {a: 1}
      """
    When the workflow is executed
    Then the workflow should fault with an error containing:
      """yaml
      status: 400
      type: https://open-workflow-specification.org/spec/1.0.0/errors/expression
      """

  Scenario: An expression that fails is an expression error at its task
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: data-flow
        version: '1.0.0'
      do:
        - before:
            set: {a: text}
        - one:
            set: {b: '${ .a + 1 }'}
      """
    When the workflow is executed
    Then the workflow should fault with an error containing:
      """yaml
      status: 400
      type: https://open-workflow-specification.org/spec/1.0.0/errors/expression
      instance: /do/1/one
      """

  Scenario: An expression without a result is an error
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: data-flow
        version: '1.0.0'
      do:
        - one:
            set: {b: '${ empty }'}
      """
    When the workflow is executed
    Then the workflow should fault with an error containing:
      """yaml
      status: 400
      instance: /do/0/one
      """

  Scenario: An expression with two results is an error
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: data-flow
        version: '1.0.0'
      do:
        - one:
            set: {b: '${ 1, 2 }'}
      """
    When the workflow is executed
    Then the workflow should fault with an error containing:
      """yaml
      status: 400
      instance: /do/0/one
      """

  Scenario: Names with a slash or a tilde are escaped in references
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: data-flow
        version: '1.0.0'
      do:
        - a/b~c:
            do:
              - x:
                  raise: {error: {type: about:blank, status: 418}}
      """
    When the workflow is executed
    Then the workflow should fault with an error containing:
      """yaml
      type: about:blank
      status: 418
      instance: /do/0/a~1b~0c/do/0/x
      """

  Scenario: A task whose condition does not hold is skipped, and its directive with it
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: data-flow
        version: '1.0.0'
      do:
        - first:
            if: .no
            set: {a: 1}
            then: end
        - second:
            set: {seen: '${ . }'}
      """
    And given the workflow input is:
      """yaml
      no: false
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      seen: {no: false}
      """
    And first should not run
    And second should run last

  Scenario: Expressions know the task and the workflow
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: data-flow
        version: '1.0.0'
      do:
        - outer:
            do:
              - one:
                  input: {from: .n}
                  set:
                    task: ${ $task.name }
                    reference: ${ $task.reference }
                    sets: ${ $task.definition | has("set") }
                    given: ${ $task.input }
                    workflow: ${ $workflow.definition.document.name }
                    began: ${ $workflow.input }
      """
    And given the workflow input is:
      """yaml
      n: 1
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      task: one
      reference: /do/0/outer/do/0/one
      sets: true
      given: 1
      workflow: data-flow
      began: {n: 1}
      """

  Scenario: Expressions know the runtime and the execution
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: data-flow
        version: '1.0.0'
      do:
        - one:
            set:
              runtime: ${ $runtime.name }
              version: ${ $runtime.version }
              id: ${ $workflow.id }
              second: ${ $workflow.startedAt.epoch.seconds }
      """
    When the workflow is executed
    Then the workflow should complete
    And the workflow output should have properties 'runtime', 'version', 'id', 'second'

  Scenario: A value passes through tasks that make nothing
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: data-flow
        version: '1.0.0'
      do:
        - rest:
            wait: PT1S
        - choose:
            switch:
              - always:
                  then: continue
        - nothing:
            if: '${ false }'
            set: {lost: true}
      """
    And given the workflow input is:
      """yaml
      [1, two, null]
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      [1, two, null]
      """

  Scenario: The context is kept until it is exported anew
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: data-flow
        version: '1.0.0'
      do:
        - one:
            set: {n: 1}
            export: {as: '${ {sum: .n} }'}
        - two:
            set: {n: 2}
        - three:
            set: {n: 3}
            export: {as: '${ $context + {sum: ($context.sum + .n)} }'}
        - show:
            set: ${ $context }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      sum: 4
      """

  Scenario: The language of expressions is jq, and strict
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: data-flow
        version: '1.0.0'
      evaluate: {language: jq, mode: strict}
      do:
        - one:
            set: {made: '${ .n + 1 }', text: .n}
      """
    And given the workflow input is:
      """yaml
      n: 1
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      made: 2
      text: .n
      """
