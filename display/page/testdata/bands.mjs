// Prints which rows the page compares: width, height, number of the picture, from, to.
import { band } from "../static/wire.js";

for (const [width, height] of [[1, 1], [480, 270], [240, 135], [960, 540], [1920, 1080], [1081, 1919], [3840, 2160], [200000, 3]]) {
  for (let i = 0; i < 200; i++) {
    const number = i < 100 ? i : Math.imul(i, 0x9e3779b9) >>> 0; // large ones too
    console.log(width, height, number, ...band(width, height, number));
  }
}
