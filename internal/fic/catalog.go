package fic

import "github.com/fattorino-dev/fattorino/internal/fattorino"

// name is the contract's name in the store and in the API.
const name = "fic"

// prefix begins the name of every event type of Fatture in Cloud.
const prefix = "it.fattureincloud.webhooks."

// welcomeType is the type of the private event that a newly verified
// subscription gets. It is no part of the catalog: nobody can subscribe to it,
// and no answer ever names it.
const welcomeType = prefix + "subscriptions.welcome"

// newCatalog makes the catalog: the 71 concrete types of OpenAPI 2.1.8 in its
// order, and the 7 group types.
//
// The names of before 2026-03, issued_documents.self_invoices.…, are not in
// it: the door translates them (see sdk.go).
func newCatalog() (*fattorino.Catalog, error) {
	return fattorino.NewCatalog(name, eventTypes(), groups())
}

// eventTypes gives the concrete types: name, common name, scopes needed.
// Where two scopes stand, a token needs both.
//
// Two pairs are easily taken for one another: receipts are the takings of a
// day (corrispettivi), issued_documents.receipts are receipts given to a
// client (ricevute).
func eventTypes() []fattorino.EventType {
	return []fattorino.EventType{
		eventType("issued_documents.invoices.create", "invoice.created", "issued_documents.invoices:r"),
		// A payment is an update of the invoice in this vocabulary.
		also(eventType("issued_documents.invoices.update", "invoice.updated", "issued_documents.invoices:r"),
			"invoice.paid", "invoice.unpaid", "invoice.submitted", "invoice.verified", "invoice.rejected"),
		eventType("issued_documents.invoices.delete", "invoice.deleted", "issued_documents.invoices:r"),
		eventType("issued_documents.quotes.create", "quote.created", "issued_documents.quotes:r"),
		eventType("issued_documents.quotes.update", "quote.updated", "issued_documents.quotes:r"),
		eventType("issued_documents.quotes.delete", "quote.deleted", "issued_documents.quotes:r"),
		eventType("issued_documents.proformas.create", "proforma.created", "issued_documents.proformas:r"),
		eventType("issued_documents.proformas.update", "proforma.updated", "issued_documents.proformas:r"),
		eventType("issued_documents.proformas.delete", "proforma.deleted", "issued_documents.proformas:r"),
		eventType("issued_documents.receipts.create", "sales_receipt.created", "issued_documents.receipts:r"),
		eventType("issued_documents.receipts.update", "sales_receipt.updated", "issued_documents.receipts:r"),
		eventType("issued_documents.receipts.delete", "sales_receipt.deleted", "issued_documents.receipts:r"),
		eventType("issued_documents.delivery_notes.create", "delivery_note.created", "issued_documents.delivery_notes:r"),
		eventType("issued_documents.delivery_notes.update", "delivery_note.updated", "issued_documents.delivery_notes:r"),
		eventType("issued_documents.delivery_notes.delete", "delivery_note.deleted", "issued_documents.delivery_notes:r"),
		eventType("issued_documents.credit_notes.create", "credit_note.created", "issued_documents.credit_notes:r"),
		eventType("issued_documents.credit_notes.update", "credit_note.updated", "issued_documents.credit_notes:r"),
		eventType("issued_documents.credit_notes.delete", "credit_note.deleted", "issued_documents.credit_notes:r"),
		eventType("issued_documents.orders.create", "order.created", "issued_documents.orders:r"),
		eventType("issued_documents.orders.update", "order.updated", "issued_documents.orders:r"),
		eventType("issued_documents.orders.delete", "order.deleted", "issued_documents.orders:r"),
		eventType("issued_documents.work_reports.create", "work_report.created", "issued_documents.work_reports:r"),
		eventType("issued_documents.work_reports.update", "work_report.updated", "issued_documents.work_reports:r"),
		eventType("issued_documents.work_reports.delete", "work_report.deleted", "issued_documents.work_reports:r"),
		eventType("issued_documents.supplier_orders.create", "supplier_order.created", "issued_documents.supplier_orders:r"),
		eventType("issued_documents.supplier_orders.update", "supplier_order.updated", "issued_documents.supplier_orders:r"),
		eventType("issued_documents.supplier_orders.delete", "supplier_order.deleted", "issued_documents.supplier_orders:r"),
		eventType("issued_documents.self_supplier_invoices.create", "self_supplier_invoice.created", "issued_documents.self_invoices:r"),
		eventType("issued_documents.self_supplier_invoices.update", "self_supplier_invoice.updated", "issued_documents.self_invoices:r"),
		eventType("issued_documents.self_supplier_invoices.delete", "self_supplier_invoice.deleted", "issued_documents.self_invoices:r"),
		eventType("issued_documents.self_own_invoices.create", "self_own_invoice.created", "issued_documents.self_invoices:r"),
		eventType("issued_documents.self_own_invoices.update", "self_own_invoice.updated", "issued_documents.self_invoices:r"),
		eventType("issued_documents.self_own_invoices.delete", "self_own_invoice.deleted", "issued_documents.self_invoices:r"),
		eventType("received_documents.create", "received_document.created", "received_documents:r"),
		eventType("received_documents.update", "received_document.updated", "received_documents:r"),
		eventType("received_documents.delete", "received_document.deleted", "received_documents:r"),
		eventType("receipts.create", "cash_receipt.created", "receipts:r"),
		eventType("receipts.update", "cash_receipt.updated", "receipts:r"),
		eventType("receipts.delete", "cash_receipt.deleted", "receipts:r"),
		eventType("taxes.create", "tax.created", "taxes:r"),
		eventType("taxes.update", "tax.updated", "taxes:r"),
		eventType("taxes.delete", "tax.deleted", "taxes:r"),
		eventType("archive_documents.create", "archive_document.created", "archive:r"),
		eventType("archive_documents.update", "archive_document.updated", "archive:r"),
		eventType("archive_documents.delete", "archive_document.deleted", "archive:r"),
		eventType("cashbook.create", "cashbook_entry.created", "cashbook:r"),
		eventType("cashbook.update", "cashbook_entry.updated", "cashbook:r"),
		eventType("cashbook.delete", "cashbook_entry.deleted", "cashbook:r"),
		eventType("products.create", "product.created", "products:r"),
		eventType("products.update", "product.updated", "products:r"),
		eventType("products.delete", "product.deleted", "products:r"),
		eventType("products.stock_update", "product.stock_updated", "products:r", "stock:r"),
		eventType("entities.clients.create", "customer.created", "entity.clients:r"),
		eventType("entities.clients.update", "customer.updated", "entity.clients:r"),
		eventType("entities.clients.delete", "customer.deleted", "entity.clients:r"),
		eventType("entities.suppliers.create", "supplier.created", "entity.suppliers:r"),
		eventType("entities.suppliers.update", "supplier.updated", "entity.suppliers:r"),
		eventType("entities.suppliers.delete", "supplier.deleted", "entity.suppliers:r"),
		eventType("issued_documents.e_invoices.status_update", "e_invoice.status_updated", "issued_documents.invoices:r", "issued_documents.credit_notes:r"),
		eventType("received_documents.e_invoices.receive", "e_invoice.received", "received_documents:r"),
		eventType("issued_documents.invoices.email_sent", "invoice.email_sent", "issued_documents.invoices:r"),
		eventType("issued_documents.quotes.email_sent", "quote.email_sent", "issued_documents.quotes:r"),
		eventType("issued_documents.proformas.email_sent", "proforma.email_sent", "issued_documents.proformas:r"),
		eventType("issued_documents.receipts.email_sent", "sales_receipt.email_sent", "issued_documents.receipts:r"),
		eventType("issued_documents.delivery_notes.email_sent", "delivery_note.email_sent", "issued_documents.delivery_notes:r"),
		eventType("issued_documents.credit_notes.email_sent", "credit_note.email_sent", "issued_documents.credit_notes:r"),
		eventType("issued_documents.orders.email_sent", "order.email_sent", "issued_documents.orders:r"),
		eventType("issued_documents.work_reports.email_sent", "work_report.email_sent", "issued_documents.work_reports:r"),
		eventType("issued_documents.supplier_orders.email_sent", "supplier_order.email_sent", "issued_documents.supplier_orders:r"),
		eventType("issued_documents.self_supplier_invoices.email_sent", "self_supplier_invoice.email_sent", "issued_documents.self_invoices:r"),
		eventType("issued_documents.self_own_invoices.email_sent", "self_own_invoice.email_sent", "issued_documents.self_invoices:r"),
	}
}

// eventType makes an entry of the catalog.
func eventType(typ, common string, scopes ...string) fattorino.EventType {
	return fattorino.EventType{Name: prefix + typ, Common: []string{common}, Scopes: scopes}
}

// also gives the type further common names that it is told of.
func also(t fattorino.EventType, common ...string) fattorino.EventType {
	t.Common = append(t.Common, common...)
	return t
}

// groups gives the group types in the order of OpenAPI 2.1.8, each with its
// members in order. The documentation's table leaves supplier_orders out of
// issued_documents.all.email_sent, and out of no other group; it is in here.
func groups() []fattorino.Group {
	documents := []string{
		"issued_documents.invoices", "issued_documents.quotes", "issued_documents.proformas",
		"issued_documents.receipts", "issued_documents.delivery_notes", "issued_documents.credit_notes",
		"issued_documents.orders", "issued_documents.work_reports", "issued_documents.supplier_orders",
		"issued_documents.self_supplier_invoices", "issued_documents.self_own_invoices",
	}
	entities := []string{"entities.clients", "entities.suppliers"}
	return []fattorino.Group{
		group("issued_documents.all", "create", documents),
		group("issued_documents.all", "update", documents),
		group("issued_documents.all", "delete", documents),
		group("entities.all", "create", entities),
		group("entities.all", "update", entities),
		group("entities.all", "delete", entities),
		group("issued_documents.all", "email_sent", documents),
	}
}

// group makes the group of one verb over several families of types.
func group(name, verb string, families []string) fattorino.Group {
	g := fattorino.Group{Name: prefix + name + "." + verb}
	for _, family := range families {
		g.Types = append(g.Types, prefix+family+"."+verb)
	}
	return g
}
