// Package cutout cuts a picture out of its plain background into a transparent
// PNG. (Not built yet: it has no routes.)
package cutout
