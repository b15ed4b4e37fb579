package chat

// documentTemplate tells of what has a number, an amount and a partner. Names of
// fields are those of FacturaScripts and of common English; an amount in cents
// has other names, and is not shown as one of whole units.
const documentTemplate = `{{.Noun}} {{with or .Data.number .Data.codigo .Data.invoice_number .ID}}{{bold .}} {{end}}{{.Action}}` +
	`{{with or .Data.total .Data.amount .Data.importe}}: {{.}}{{with or $.Data.currency $.Data.coddivisa}} {{.}}{{end}}{{end}}` +
	`{{with or .Data.customer.name .Data.supplier.name .Data.customer_name .Data.nombrecliente .Data.nombre}} · {{.}}{{end}}`

// partnerTemplate tells of a customer or supplier.
const partnerTemplate = `{{.Noun}} {{with or .Data.name .Data.nombre .Data.razonsocial .ID}}{{bold .}} {{end}}{{.Action}}` +
	`{{with or .Data.vat_number .Data.cifnif}} · {{.}}{{end}}`

// productTemplate tells of a product.
const productTemplate = `{{.Noun}} {{with or .Data.code .Data.referencia .ID}}{{bold .}} {{end}}{{.Action}}` +
	`{{with or .Data.name .Data.description .Data.descripcion}} · {{.}}{{end}}` + //nolint:misspell // Spanish, as published
	`{{with or .Data.price .Data.precio}}: {{.}}{{with $.Data.currency}} {{.}}{{end}}{{end}}`

// plainTemplate tells of anything else, and of an event that another template
// has no words for.
const plainTemplate = `{{.Noun}} {{with .ID}}{{bold .}} {{end}}{{.Action}}`

// Default gives the template that tells of the type where none was written for
// it: by its noun, as "invoice" of "invoice.paid".
func Default(typ string) string {
	noun, _ := words(typ)
	switch noun {
	case "invoice", "quote", "proforma", "order", "delivery_note", "credit_note", "work_report",
		"supplier_order", "received_document", "self_supplier_invoice", "self_own_invoice",
		"sales_receipt", "cash_receipt", "receipt", "payment", "e_invoice", "cashbook_entry", "tax":
		return documentTemplate
	case "customer", "supplier":
		return partnerTemplate
	case "product":
		return productTemplate
	}
	return plainTemplate
}
