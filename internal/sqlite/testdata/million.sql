-- A log of 1,000,000 deliveries, written into a new data folder at once: 100,000
-- events of company 7, an hour apart every 1000, each heard by ten
-- subscriptions. Nearly all were delivered; one in 1000 was discarded, the last
-- ten events are pending. One event in 10,000 is of a rare type, and one in
-- 50,000 is about a rare entity; those are old.
INSERT INTO companies (id, name, created_at) VALUES (7, 'Rossi', 1700000000000000);
INSERT INTO apps (id, name, created_at) VALUES (1, 'Warehouse', 1700000000000000);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10)
INSERT INTO subscriptions (company, app, contract, sink, types, format, filters, options, secrets, state, before, handshake, created_at, updated_at, sought)
SELECT 7, 1, 'native', 'https://sink-' || i || '.example/hook', '["*"]', 'structured', '', json_object('name', 'Sink ' || i), '[]', 'disabled', '', '{}',
	1700000000000000, 1700000000000000, 'sink ' || i || char(10) || 'sink-' || i || '.example' FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
INSERT INTO events SELECT i, 7, i, 1700000000000000 + i * 3600000, 'event-' || i, '/erp',
	iif(i % 10000 = 1, 'rare.type', iif(i % 2 = 0, 'invoice.paid', 'invoice.created')), '', 'company:7', '', 'application/json', '', '',
	iif(i % 50000 = 1, 'customer/1', 'invoice/' || (i % 1000)), 0, i, x'00', 10 * i - 9, 10, x'02020202020202020202', CAST('{"id":42}' AS BLOB) FROM n;
-- Pages of what is of one type among 512 events: how far each is from the one before, in a byte.
INSERT INTO kinds SELECT company, common, type, 1, min(key), unhex(group_concat(printf('%02x', step), '')) FROM (
	SELECT company, common, type, key, key - lag(key, 1, key) OVER (PARTITION BY type, key / 512 ORDER BY key) AS step FROM events)
	GROUP BY company, common, type, key / 512;
INSERT INTO entities SELECT company, entity, key FROM events ORDER BY 1, 2, 3;
INSERT INTO deliveries (id, event, subscription, state, reason, attempts, tries, status, settled_at)
SELECT 10 * key, key, 10, 2, 'refused', 1, 1, 200, accepted_at + 3600000 FROM events WHERE key % 100 = 0 AND key <= 99990;
-- Pages of 250 events, numbers in three bytes: ids are 10 apart, events 1.
INSERT INTO lane_pages SELECT s.id, 10 * (e.key - 1) + s.id, 10 * (e.key + 248) + s.id,
	unhex('00' || printf('%02x%02x%02x', e.key & 127 | 128, e.key >> 7 & 127 | 128, e.key >> 14) || replace(hex(zeroblob(249)), '00', '0A01'))
FROM subscriptions s CROSS JOIN events e WHERE e.key % 250 = 1;
-- Blocks of 512: page 0, status 200, a time in eight bytes, their number in two, and how far each is from the one before.
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 999900),
d(block, step, at) AS (SELECT i / 512, i - lag(i, 1, i / 512 * 512) OVER (PARTITION BY i / 512 ORDER BY i), 1700000000000000 + i / 512 * 184320000
	FROM n WHERE i % 1000 <> 0)
INSERT INTO successes SELECT block, unhex('00c801' ||
	printf('%02x%02x%02x%02x%02x%02x%02x%02x', at & 127 | 128, at >> 7 & 127 | 128, at >> 14 & 127 | 128, at >> 21 & 127 | 128,
		at >> 28 & 127 | 128, at >> 35 & 127 | 128, at >> 42 & 127 | 128, at >> 49) ||
	printf('%02x%02x', count(*) & 127 | 128, count(*) >> 7) || group_concat(printf('%02x', step), '')) FROM d GROUP BY block;
INSERT INTO lanes SELECT id, 999900 FROM subscriptions;
UPDATE ids SET event = 100000, delivery = 1000000, listed = 100000, hashed = 100000;
ANALYZE;
