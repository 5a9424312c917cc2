module bartizan.invalid/foreignacme

go 1.20

require (
	github.com/fxamacker/cbor/v2 v2.7.0
	golang.org/x/crypto v0.33.0
	howett.net/plist v1.0.1
)

require github.com/x448/float16 v0.8.4 // indirect
