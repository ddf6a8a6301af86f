// Package imagebuild turns a recipe into packages, a root file system, a flashable
// image, and the proof that it boots.
package imagebuild
