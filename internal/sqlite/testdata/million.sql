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
	iif(i % 50000 = 1, 'customer/1', 'invoice/' || (i % 1000)), 0, i, x'00', 10 * i - 9, 10, CAST('{"id":42}' AS BLOB) FROM n;
INSERT INTO kinds SELECT company, common, type, 1, key FROM events ORDER BY 1, 2, 3, 5;
INSERT INTO entities SELECT company, entity, key FROM events ORDER BY 1, 2, 3;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000)
INSERT INTO deliveries (id, event, subscription, state, reason, attempts, tries, status, settled_at)
SELECT i, (i + 9) / 10, 1 + (i - 1) % 10,
	iif(i > 999900, 0, iif(i % 1000 = 0, 2, 1)), iif(i <= 999900 AND i % 1000 = 0, 'refused', ''),
	iif(i > 999900, 0, 1), iif(i > 999900, 0, 1), iif(i > 999900, 0, 200), iif(i > 999900, NULL, 1700000000000000 + i * 360000) FROM n;
INSERT INTO lanes SELECT id, 999900 FROM subscriptions;
UPDATE ids SET event = 100000, delivery = 1000000, listed = 100000, hashed = 100000;
ANALYZE;
