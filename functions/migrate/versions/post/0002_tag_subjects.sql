ALTER TABLE tags ADD CONSTRAINT tags_subject CHECK (subject IS NOT DISTINCT FROM tag_subject(name)) NOT VALID;
