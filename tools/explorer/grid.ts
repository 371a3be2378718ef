// Draws millions of frames: one byte a frame in a texture, one rectangle, and a shader that finds
// each pixel's frame and its colour. Panning and zooming change four numbers, not the texture.
//
// Where several frames fall on one pixel their colours are mixed: up to 4 × 4 of them, fewer while
// the picture moves.

import type { GridLayout } from './grid-layout.ts';

const TEXTURE_SHIFT = 12; // frames in a row of the texture: 4096

const VERTEX = `#version 300 es
void main() {
  vec2 corner = vec2(float((gl_VertexID << 1) & 2), float(gl_VertexID & 2));
  gl_Position = vec4(corner * 2.0 - 1.0, 0.0, 1.0);
}`;

const FRAGMENT = `#version 300 es
precision highp float;
precision highp int;
precision highp usampler2D;
uniform usampler2D frames;
uniform sampler2D palette;
uniform vec2 origin;     // cell at the upper left
uniform float scale;     // cells a pixel
uniform float height;    // of the canvas
uniform ivec3 layout_;   // columns, rows, log2 of tiles a row
uniform int nrFrames;
uniform int samples;
uniform uvec2 shown;     // classes that stand out, a bit each
uniform vec4 paper;
out vec4 colour;

vec3 cell(ivec2 at) {
  if (at.x < 0 || at.y < 0 || at.x >= layout_.x || at.y >= layout_.y) return paper.rgb;
  int tile = ((at.y >> 4) << layout_.z) + (at.x >> 5);
  int pfn = (tile << 9) + ((at.y & 15) << 5) + (at.x & 31);
  if (pfn >= nrFrames) return paper.rgb;
  ivec2 place = ivec2(pfn & ${2 ** TEXTURE_SHIFT - 1}, pfn >> ${TEXTURE_SHIFT});
  uint id = texelFetch(frames, place, 0).r;
  if (id == 0u) return paper.rgb;
  vec3 c = texelFetch(palette, ivec2(int(id), 0), 0).rgb;
  uint bits = id < 32u ? shown.x >> id : shown.y >> (id - 32u);
  return (bits & 1u) == 1u ? c : mix(c, paper.rgb, 0.86);
}

void main() {
  vec2 at = origin + vec2(gl_FragCoord.x - 0.5, height - gl_FragCoord.y - 0.5) * scale;
  vec3 sum = vec3(0.0);
  float step_ = scale / float(samples);
  for (int y = 0; y < samples; y++)
    for (int x = 0; x < samples; x++)
      sum += cell(ivec2(floor(at + (vec2(float(x), float(y)) + 0.5) * step_)));
  vec3 c = sum / float(samples * samples);
  float size = 1.0 / scale;
  vec2 inCell = fract(at + 0.5 * scale);
  if (size >= 7.0 && (inCell.x < scale || inCell.y < scale)) c = mix(c, paper.rgb, 0.7);
  vec2 inTile = mod(at + 0.5 * scale, vec2(32.0, 16.0));
  if (size >= 0.9 && (inTile.x < scale || inTile.y < scale)) c = mix(c, paper.rgb, 0.85);
  colour = vec4(c, 1.0);
}`;

/** What part of the map is seen. */
export interface Sight {
  /** Cell at the upper left corner, and cells a pixel of the screen. */
  x: number;
  y: number;
  scale: number;
}

export class Grid {
  private readonly gl: WebGL2RenderingContext;
  private readonly program: WebGLProgram;
  private readonly frames: WebGLTexture;
  private readonly palette: WebGLTexture;
  private textureRows = 0;
  private layout: GridLayout | undefined;
  private paper: readonly [number, number, number] = [1, 1, 1];

  /** @throws Error where the browser has no WebGL 2. */
  constructor(canvas: HTMLCanvasElement) {
    const gl = canvas.getContext('webgl2', { antialias: false, alpha: false });
    if (gl === null) throw new Error('this browser has no WebGL 2: the map cannot be drawn');
    this.gl = gl;
    this.program = link(gl);
    this.frames = gl.createTexture();
    this.palette = gl.createTexture();
    for (const texture of [this.frames, this.palette]) {
      gl.bindTexture(gl.TEXTURE_2D, texture);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
    }
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
  }

  /** @param paper the colour behind all, 0..1 each. */
  setColours(palette: Uint8Array<ArrayBuffer>, paper: readonly [number, number, number]): void {
    const { gl } = this;
    this.paper = paper;
    gl.bindTexture(gl.TEXTURE_2D, this.palette);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, 256, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, palette);
  }

  /** The classes of all frames. The texture is made anew only where their number has changed. */
  setFrames(layout: GridLayout, classes: Uint8Array<ArrayBuffer>): void {
    const { gl } = this;
    this.layout = layout;
    const width = 2 ** TEXTURE_SHIFT;
    const rows = Math.ceil(classes.length / width);
    gl.bindTexture(gl.TEXTURE_2D, this.frames);
    if (rows !== this.textureRows) {
      this.textureRows = rows;
      gl.texImage2D(
        gl.TEXTURE_2D,
        0,
        gl.R8UI,
        width,
        rows,
        0,
        gl.RED_INTEGER,
        gl.UNSIGNED_BYTE,
        null,
      );
    }
    const whole = Math.floor(classes.length / width);
    const put = (row: number, columns: number, n: number, bytes: Uint8Array<ArrayBuffer>): void => {
      gl.texSubImage2D(
        gl.TEXTURE_2D,
        0,
        0,
        row,
        columns,
        n,
        gl.RED_INTEGER,
        gl.UNSIGNED_BYTE,
        bytes,
      );
    };
    if (whole > 0) put(0, width, whole, classes);
    if (rows > whole)
      put(whole, classes.length - whole * width, 1, classes.subarray(whole * width));
  }

  /**
   * Draws once.
   * @param sight in pixels of the canvas. @param shown a bit a class, 64 in two words.
   */
  draw(sight: Sight, shown: readonly [number, number], moving: boolean): void {
    const { gl, program, layout } = this;
    if (layout === undefined) return;
    const { width, height } = gl.canvas;
    gl.viewport(0, 0, width, height);
    gl.useProgram(program);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, this.frames);
    gl.activeTexture(gl.TEXTURE1);
    gl.bindTexture(gl.TEXTURE_2D, this.palette);
    const at = (name: string): WebGLUniformLocation | null => gl.getUniformLocation(program, name);
    gl.uniform1i(at('frames'), 0);
    gl.uniform1i(at('palette'), 1);
    gl.uniform2f(at('origin'), sight.x, sight.y);
    gl.uniform1f(at('scale'), sight.scale);
    gl.uniform1f(at('height'), height);
    gl.uniform3i(at('layout_'), layout.columns, layout.rows, layout.shift);
    gl.uniform1i(at('nrFrames'), layout.nrFrames);
    const most = moving ? 1 : 4;
    gl.uniform1i(at('samples'), Math.max(1, Math.min(most, Math.ceil(sight.scale))));
    gl.uniform2ui(at('shown'), shown[0] >>> 0, shown[1] >>> 0);
    gl.uniform4f(at('paper'), ...this.paper, 1);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
    gl.activeTexture(gl.TEXTURE0);
  }

  dispose(): void {
    this.gl.deleteTexture(this.frames);
    this.gl.deleteTexture(this.palette);
    this.gl.deleteProgram(this.program);
  }
}

function link(gl: WebGL2RenderingContext): WebGLProgram {
  const program = gl.createProgram();
  for (const [type, source] of [
    [gl.VERTEX_SHADER, VERTEX],
    [gl.FRAGMENT_SHADER, FRAGMENT],
  ] as const) {
    const shader = gl.createShader(type);
    if (shader === null) throw new Error('WebGL: no shader');
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
    gl.deleteShader(shader);
  }
  gl.linkProgram(program);
  if (gl.getProgramParameter(program, gl.LINK_STATUS) !== true) {
    throw new Error(`WebGL: ${gl.getProgramInfoLog(program) ?? 'the shaders do not link'}`);
  }
  return program;
}
