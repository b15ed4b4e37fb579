// Package ui is the management interface: pages rendered here on the server,
// over the use cases. What changes state is a plain form, answered with a
// redirect; scripts only make pages livelier. Who is signed in has a role, and
// the table of routes says which role each of them needs.
package ui
