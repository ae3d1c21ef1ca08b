package sandbox

// Shadows are the ways to keep a snapshot.
var Shadows = map[string]func(*Instance) (shadow, error){
	"tracked": func(i *Instance) (shadow, error) { return newTracked(i.mem) },
	"mapped":  func(i *Instance) (shadow, error) { return newMapped(i.mem, i.code.image) },
	"copied":  func(*Instance) (shadow, error) { return newCopied(), nil },
}
