module fleetlog/test/vectors

go 1.26.4

require (
	fleetlog v0.0.0
	github.com/c2sp/wycheproof v0.0.0-20260902155932-3fa63dd0344a
	github.com/go-json-experiment/json v1.27.2
	github.com/gowebpki/jcs v1.0.2
)

require filippo.io/edwards25519 v1.2.0 // indirect

replace fleetlog => ../..
