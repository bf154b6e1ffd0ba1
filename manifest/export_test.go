package manifest

// ProjectAnew is Project as it is for a fleet that was not projected before.
func ProjectAnew(f Verified[Fleet], s Scheme) []Projection { return project(f.value, f.hash, s) }
