-- CRC32C of all bytes that were received so far: with it a blob has its checksum from the first day. A release that
-- doesn't know it goes on with an upload all the same, and what was known is of fewer bytes then.
ALTER TABLE uploads ADD COLUMN crc32c bigint;

CREATE FUNCTION forget_checksum() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    NEW.crc32c := NULL;
    RETURN NEW;
END $$;
CREATE TRIGGER forget_checksum BEFORE UPDATE OF received ON uploads FOR EACH ROW
    WHEN (NEW.received <> OLD.received AND NEW.crc32c = OLD.crc32c) EXECUTE FUNCTION forget_checksum();

-- How far a check has read objects that was given a number of bytes: the next one goes on behind that digest.
ALTER TABLE checks ADD COLUMN hashed_to text COLLATE "C";
