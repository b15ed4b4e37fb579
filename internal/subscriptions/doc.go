// Package subscriptions is the door for clients of the CloudEvents
// Subscriptions API (subscriptions/spec.md 0.1-wip and its OpenAPI description
// 0.2-WIP): /subscriptions, over the native contract.
//
// What is made here is an ordinary subscription under the native contract: the
// native API shows and changes it as well, and the other way round. What this
// API has no member for (schedule, timeout, name and so on) stays as it is when
// a subscription is changed here.
//
// The description that is served, openapi.yaml, is our own: the published one
// refuses every request with filters, protocolsettings or sinkcredential. Paths,
// operationIds and names of members are the published ones.
package subscriptions
