// Package display is the stage: the director picks a scene, the scene draws a
// frame, wire encodes it, and every attached screen shows the same universe.
package display
