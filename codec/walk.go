package codec

import (
	"fmt"
	"reflect"
)

// A walker looks at a value before gob's encoder does, which follows pointers
// without end. It visits what is not bounded by its type alone.
type walker struct {
	left  int // how many bytes the encoded value may still have
	limit int
}

// walk returns an error if v is nested too deep, as a value that contains itself
// is, or surely takes more than limit bytes, as one that contains the same parts
// again and again may.
func walk(v reflect.Value, limit int) error {
	w := walker{left: limit, limit: limit}
	return w.walk(v, 0)
}

func (w *walker) walk(v reflect.Value, depth int) error {
	f := learn(v.Type())
	switch {
	case f.err != nil:
		return f.err
	case f.bounded:
		return nil
	case depth > MaxDepth:
		return tooDeep()
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return w.walk(v.Elem(), depth)
	case reflect.Interface:
		if v.IsNil() {
			return nil
		}
		if err := w.take(1); err != nil {
			return err
		}
		return w.walk(v.Elem(), depth+1)
	case reflect.Struct:
		return w.fields(v, f.unbounded, depth+1)
	case reflect.Map:
		return w.entries(v, depth+1)
	default:
		return w.elements(v, depth+1)
	}
}

// take notes that the encoded value has n more bytes.
func (w *walker) take(n int) error {
	if w.left -= n; w.left < 0 {
		return fmt.Errorf("the encoded value is %w: the limit is %d bytes", ErrTooLarge, w.limit)
	}
	return nil
}

func (w *walker) fields(v reflect.Value, fields []int, depth int) error {
	if err := w.take(1); err != nil {
		return err
	}
	for _, i := range fields {
		if err := w.walk(v.Field(i), depth); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) entries(v reflect.Value, depth int) error {
	if err := w.take(v.Len()); err != nil {
		return err
	}
	for it := v.MapRange(); it.Next(); {
		if err := w.walk(it.Key(), depth); err != nil {
			return err
		}
		if err := w.walk(it.Value(), depth); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) elements(v reflect.Value, depth int) error {
	if v.Kind() == reflect.Slice { // an array of zeros may take nothing
		if err := w.take(v.Len()); err != nil {
			return err
		}
	}
	for i := range v.Len() {
		if err := w.walk(v.Index(i), depth); err != nil {
			return err
		}
	}
	return nil
}
