package egress

// NewNetHTTP makes the client to which [Client] leaves some sinks, for the
// suite that both have to pass.
func NewNetHTTP(p Policy, o Options) *netHTTP { return newNetHTTP(p, o.withDefaults()) }
