package facturascripts

import "github.com/fattorino-dev/fattorino/internal/fattorino"

// Name is the contract's name in the store and in the API.
const Name = "facturascripts"

// newCatalog makes the catalog. Its types are common names as they are, so that
// an event of any contract that is linked to one is heard under that name.
// Several subscriptions may hold one type: the page has a receiver register as
// many URLs as it likes.
func newCatalog() (*fattorino.Catalog, error) {
	var types []fattorino.EventType
	for _, name := range append(documented(), missing()...) {
		types = append(types, fattorino.EventType{Name: name, Common: []string{name}})
	}
	c, err := fattorino.NewCatalog(Name, types, nil)
	if err != nil {
		return nil, err
	}
	c.Shared = true
	return c, nil
}

// documented gives the nine names of the page, in its order. In FacturaScripts
// they come from these events of its work queue:
//
//	invoice.created    Model.FacturaCliente.Insert, with the lines there
//	invoice.updated    Model.FacturaCliente.Update
//	invoice.deleted    Model.FacturaCliente.Delete
//	invoice.paid       Model.FacturaCliente.Paid, where pagada is true
//	customer.created   Model.Cliente.Insert
//	customer.updated   Model.Cliente.Update, where more than riesgoalcanzado changed
//	product.created    the same of the model of products
//	product.updated    the same
//	receipt.paid       Model.ReciboCliente.Update, where pagado became true
func documented() []string {
	return []string{
		"invoice.created", "invoice.updated", "invoice.deleted", "invoice.paid",
		"customer.created", "customer.updated",
		"product.created", "product.updated",
		"receipt.paid",
	}
}

// missing gives the names that the page's list lacks and its model has events
// for. Where another contract's catalog already has a common name for the same
// thing, it is that name, so that the two hear each other:
//
//	invoice.unpaid       Model.FacturaCliente.Paid, where pagada is false
//	receipt.…            Model.ReciboCliente: an instalment of an invoice, not a slip from a till
//	payment.created      Model.PagoCliente.Insert: money in, or out again where it is negative
//	supplier.…           Model.Proveedor
//	received_document.…  Model.FacturaProveedor: invoices of suppliers
//	quote.…              Model.PresupuestoCliente
//	order.…              Model.PedidoCliente
//	delivery_note.…      Model.AlbaranCliente
//	supplier_order.…     Model.PedidoProveedor
func missing() []string {
	return []string{
		"invoice.unpaid",
		"customer.deleted", "product.deleted",
		"receipt.created", "receipt.updated",
		"payment.created",
		"supplier.created", "supplier.updated", "supplier.deleted",
		"received_document.created", "received_document.updated", "received_document.deleted",
		"received_document.paid", "received_document.unpaid",
		"quote.created", "quote.updated", "quote.deleted",
		"order.created", "order.updated", "order.deleted",
		"delivery_note.created", "delivery_note.updated", "delivery_note.deleted",
		"supplier_order.created", "supplier_order.updated", "supplier_order.deleted",
	}
}
