package process

import "runtime/debug"

// version is set by the linker where a release or a package is built:
// -X fleetlog/internal/process.version=1.2.3.
var version string

// Version is the version that the program was stamped with, else that of the
// module that it was built from, or "devel" when the build knows neither.
func Version() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "devel"
	}
	return info.Main.Version
}
