Feature: Schema Validation
  Data that fit their schema or do not

  Scenario: The schema sees the raw input, before it is filtered
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: schema
        version: '1.0.0'
      input: {schema: {document: {type: object}}, from: .n}
      do:
        - a:
            set: ${ . + 1 }
      """
    And given the workflow input is:
      """yaml
      n: 1
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      2
      """

  Scenario: A task's input and output, the output as it is filtered
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: schema
        version: '1.0.0'
      do:
        - a:
            input: {schema: {document: {required: [n]}}, from: .n}
            output: {as: '${ {m: .} }', schema: {document: {required: [m]}}}
            set: ${ . + 1 }
      """
    And given the workflow input is:
      """yaml
      n: 1
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      m: 2
      """

  Scenario: An output that does not fit fails its task
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: schema
        version: '1.0.0'
      do:
        - t:
            try:
              - a:
                  output: {schema: {document: {type: string}}}
                  set: ${ 5 }
            catch:
              errors:
                with:
                  type: https://serverlessworkflow.io/spec/1.0.0/errors/validation
              as: e
              do:
                - c:
                    set: ${ $e.title }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      The output does not fit its schema
      """

  Scenario: What is exported is validated before it is kept
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: schema
        version: '1.0.0'
      do:
        - t:
            try:
              - a:
                  export:
                    as: '${ {k: .n} }'
                    schema: {document: {properties: {k: {maximum: 1}}}}
                  set: {n: 2}
            catch:
              do:
                - c:
                    set: {context: '${ $context }'}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      context: {}
      """

  Scenario: An input that does not fit is an error of validation
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: schema
        version: '1.0.0'
      input:
        schema:
          format: json
          document:
            type: object
            properties: {id: {type: integer}}
            required: [id]
      do:
        - never:
            set: {n: 1}
      """
    And given the workflow input is:
      """yaml
      id: seven
      """
    When the workflow is executed
    Then the workflow should fault with an error containing:
      """yaml
      type: https://open-workflow-specification.org/spec/1.0.0/errors/validation
      status: 400
      """
    And never should not run

  Scenario: An output of the workflow that does not fit
    Given a workflow with definition:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: default
        name: schema
        version: '1.0.0'
      output:
        as: .n
        schema:
          document: {type: integer, maximum: 3}
      do:
        - one:
            set: {n: 4}
      """
    When the workflow is executed
    Then the workflow should fault with an error containing:
      """yaml
      type: https://open-workflow-specification.org/spec/1.0.0/errors/validation
      status: 400
      """
    And one should complete
