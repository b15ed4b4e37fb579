package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// versionCommand shows what program this is.
type versionCommand struct{}

// Help is what --help adds.
func (*versionCommand) Help() string {
	return `Example:

    fattorino version`
}

// Run prints the version that the build was given.
func (*versionCommand) Run(env *environment) error {
	_, err := fmt.Fprintf(env.stdout, "fattorino %s (%s, %s/%s)\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

// version gives the module's version, which Go takes from the repository's tag
// or commit.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(unknown version)"
	}
	return info.Main.Version
}
