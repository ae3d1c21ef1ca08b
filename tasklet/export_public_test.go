package tasklet

// Public returns err as others hear it.
func Public(err error) error { return public(err) }
