-- The audit trail.

-- Who did what, and what was refused. `principal` is a name as it was then: the row outlives whom it names. `namespace`
-- is set on what its administrators are told: entries that are about nothing else.
CREATE TABLE audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    action text NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('success', 'denied', 'error')),
    principal text COLLATE "C" NOT NULL,
    resource text COLLATE "C" NOT NULL,
    address text NOT NULL,
    reason text,
    details jsonb NOT NULL,
    namespace text COLLATE "C"
);
CREATE INDEX audit_age ON audit (at);
CREATE INDEX audit_principal ON audit (principal, id);
CREATE INDEX audit_resource ON audit (resource, id);
CREATE INDEX audit_namespace ON audit (namespace, id) WHERE namespace IS NOT NULL;

-- Bounds of the trail by what its rows are worth: refusals, which strangers cause; what was pushed and deleted; and
-- what administrators changed, which stays for its time.
CREATE INDEX audit_refusals ON audit (id) WHERE outcome = 'denied';
CREATE INDEX audit_content ON audit (id)
    WHERE outcome <> 'denied' AND split_part(action, '.', 1) IN ('manifest', 'blob');
