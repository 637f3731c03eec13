-- Who a user is for the issuer by which people sign in to the console.
CREATE TABLE identities (
    principal_id bigint PRIMARY KEY REFERENCES principals ON DELETE CASCADE,
    issuer text COLLATE "C" NOT NULL,
    subject text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT identities_subject UNIQUE (issuer, subject)
);
