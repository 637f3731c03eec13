-- What a namespace's administrators are told of the trail: entries that are about nothing else.
ALTER TABLE audit ADD COLUMN namespace text COLLATE "C";
CREATE INDEX audit_namespace ON audit (namespace, id) WHERE namespace IS NOT NULL;

-- Few of many: whoever takes an administrator away looks whether another one is left.
CREATE INDEX principals_administrators ON principals (is_disabled, id) WHERE is_admin;
