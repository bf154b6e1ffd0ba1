package process

import "runtime/debug"

// Version is the version of the module that the program was built from, or
// "devel" when the build does not know it.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "devel"
	}
	return info.Main.Version
}
