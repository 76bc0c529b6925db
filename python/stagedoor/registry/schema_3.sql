-- From version 2 to 3: versions of APIs to which consumers are pinned, by API.

ALTER TABLE consumer ADD COLUMN versions TEXT NOT NULL DEFAULT '{}';
