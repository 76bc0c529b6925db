-- Version 3: executions are found by what they are, how they ended and what they are about.

ALTER TABLE execution ADD COLUMN ended REAL;                           -- NULL: it has not
ALTER TABLE execution ADD COLUMN incidents INTEGER NOT NULL DEFAULT 0; -- those that wait for an operator
ALTER TABLE execution ADD COLUMN origin TEXT;                          -- the execution that it was restarted from
ALTER TABLE execution ADD COLUMN heir INTEGER NOT NULL DEFAULT 0;      -- 1: what its origin did is its to undo

UPDATE execution SET ended = (SELECT at FROM event WHERE execution = execution.id ORDER BY seq DESC LIMIT 1)
WHERE status NOT IN ('running', 'suspended');
UPDATE execution SET incidents =
    (SELECT count(DISTINCT json_extract(data, '$.incident')) FROM event
     WHERE execution = execution.id AND type = 'IncidentOpened')
    - (SELECT count(DISTINCT json_extract(data, '$.incident')) FROM event
       WHERE execution = execution.id AND type = 'IncidentResolved')
WHERE status = 'suspended';

-- Each ends in the order in which executions are listed. What ends well is in as few of them as can be.
CREATE INDEX execution_workflow ON execution (workflow, id);
CREATE INDEX execution_version ON execution (workflow, version, id);
CREATE INDEX execution_consumer ON execution (consumer, id) WHERE consumer IS NOT NULL;
CREATE INDEX execution_ended ON execution (ended, id) WHERE ended IS NOT NULL;
CREATE INDEX execution_failed ON execution (status, id) WHERE status IN ('faulted', 'cancelled');
CREATE INDEX execution_failed_workflow ON execution (workflow, status, id) WHERE status IN ('faulted', 'cancelled');
CREATE INDEX execution_incident ON execution (id) WHERE incidents > 0;
CREATE INDEX execution_origin ON execution (origin, id) WHERE origin IS NOT NULL;
CREATE UNIQUE INDEX execution_heir ON execution (origin) WHERE heir = 1;

CREATE TABLE attribute (             -- what the documents of executions say that they are about
    execution TEXT NOT NULL,
    name      TEXT NOT NULL,
    value     TEXT NOT NULL,         -- as one asks for it: text as it is, numbers and booleans as in JSON
    type      TEXT NOT NULL,         -- text, number, boolean
    PRIMARY KEY (execution, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX attribute_value ON attribute (name, value, execution);
