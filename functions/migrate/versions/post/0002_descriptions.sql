-- Children before indexes, whose sizes are made of theirs. No table is locked, and no review is put off.
SELECT set_config('slipway.describing', 'on', true);
UPDATE manifests SET kind = kind
 WHERE size = 0 AND NOT EXISTS (SELECT FROM manifest_children WHERE parent_id = manifests.id);
UPDATE manifests SET kind = kind WHERE size = 0 OR EXISTS (SELECT FROM manifest_children WHERE parent_id = manifests.id);
UPDATE tags SET manifest_id = manifest_id WHERE size = 0;
SELECT set_config('slipway.describing', '', true);
