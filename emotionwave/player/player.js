// The script of the player: rolls of one or two versions of a piece, and their sound.
//
// `player_html` puts it into a frame of its own, after the controls and the data that it needs.
// It has three parts: one draws, one plays, one listens to the mouse and the keyboard.
// Times are in seconds, lengths on the screen in pixels.
// Comments stand on lines of their own, because lines of comment don't travel with a player.
'use strict';

function byId(id) {
  return document.getElementById(id);
}

// Notes travel as one line of numbers, five for each note.
function readNotes(line) {
  const numbers = line ? line.split(' ').map(Number) : [];
  const notes = [];
  for (let i = 0; i < numbers.length; i += 5) {
    const [startMs, lengthMs, pitch, velocity, changed] = numbers.slice(i, i + 5);
    const start = startMs / 1e3;
    const end = start + lengthMs / 1e3;
    notes.push({start, end, pitch, velocity, changed});
  }
  return notes;
}

const data = JSON.parse(byId('data').textContent);
const versions = data.versions.map(version => ({...version, notes: readNotes(version.notes)}));
const canvases = [...document.querySelectorAll('canvas')];
const two = versions.length > 1;
const prefersDark = matchMedia('(prefers-color-scheme:dark)');

// The version that is heard: at first the new one.
let active = versions.length - 1;
// Where the playhead stands.
let at = 0;
let playing = false;
// Whether notes that only one version has are marked.
let marks = two;
// What is in sight; the width of the page sets its span until somebody zooms.
const view = {start: 0, span: data.total};
let fitted = true;


// ---- Drawing
//
// At the left a keyboard whose keys light up; then bars and beats, the notes, brighter while they sound,
// and the playhead. Time runs evenly, in seconds and not in beats, so the playhead moves evenly.

const RULER_HEIGHT = 18;
const KEYBOARD_WIDTH = 30;
const LOOKS = {
  light: {
    paper: '#ffffff', row: '#f3f4f7', beat: '#eceef3', bar: '#c3c9d5', ink: '#5a6274', head: '#111827',
    white: '#ffffff', black: '#3b4252', edge: '#d5dae3',
    kept: '#8492ad', keptSounding: '#46536c',
    own: ['#1d6fd1', '#d9480f'], ownSounding: ['#0b4fa3', '#ff6b2c'],
    loudness: ['#9cc9e8', '#4f8fc9', '#5b4fa8', '#b8336a', '#e4572e'],
  },
  dark: {
    paper: '#101218', row: '#171a22', beat: '#1d212b', bar: '#39404f', ink: '#a5adbd', head: '#ffffff',
    white: '#c9cfdb', black: '#2a2f3a', edge: '#15171d',
    kept: '#5d6983', keptSounding: '#b4c0d6',
    own: ['#5aa5ff', '#ff8a4c'], ownSounding: ['#b5d7ff', '#ffc7a3'],
    loudness: ['#5f8fb3', '#58a2e6', '#9484f0', '#e7609f', '#ff7e50'],
  },
};

function isBlack(pitch) {
  return [1, 3, 6, 8, 10].includes(pitch % 12);
}

// A colour between several, written as #rrggbb, at x from 0 to 1.
function mix(colours, x) {
  const place = x * (colours.length - 1);
  const left = Math.min(colours.length - 2, Math.max(0, Math.floor(place)));
  const share = Math.min(1, Math.max(0, place - left));
  const channel = (colour, i) => parseInt(colour.slice(i, i + 2), 16);
  const rgb = [1, 3, 5].map(i => {
    return Math.round(channel(colours[left], i) * (1 - share) + channel(colours[left + 1], i) * share);
  });
  return `rgb(${rgb})`;
}

// One drawing of one version on its canvas.
class Roll {
  constructor(which) {
    const canvas = canvases[which];
    const box = canvas.getBoundingClientRect();
    this.which = which;
    this.width = box.width;
    this.height = box.height;
    this.rowHeight = (this.height - RULER_HEIGHT) / (data.high - data.low + 1);
    this.end = view.start + view.span;
    this.look = LOOKS[document.documentElement.dataset.theme];
    // Pitches that sound now.
    this.sounding = new Set();
    this.pen = this.fitCanvas(canvas);
  }

  // Give the canvas as many dots as the screen has there.
  fitCanvas(canvas) {
    const dots = window.devicePixelRatio || 1;
    const width = Math.round(this.width * dots);
    const height = Math.round(this.height * dots);
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    const pen = canvas.getContext('2d');
    pen.setTransform(dots, 0, 0, dots, 0, 0);
    return pen;
  }

  x(time) {
    return KEYBOARD_WIDTH + (time - view.start) / view.span * (this.width - KEYBOARD_WIDTH);
  }

  y(pitch) {
    return RULER_HEIGHT + (data.high - pitch) * this.rowHeight;
  }

  fill(colour, x, y, width, height) {
    this.pen.fillStyle = colour;
    this.pen.fillRect(x, y, width, height);
  }

  draw() {
    this.drawPaper();
    this.drawBeats();
    this.drawBars();
    if (marks && this.which === 1) this.drawGone();
    this.drawNotes();
    this.drawKeyboard();
    this.drawPlayhead();
  }

  drawPaper() {
    this.fill(this.look.paper, 0, 0, this.width, this.height);
    for (let pitch = data.low; pitch <= data.high; pitch++) {
      if (isBlack(pitch)) this.fill(this.look.row, KEYBOARD_WIDTH, this.y(pitch), this.width, this.rowHeight);
    }
  }

  drawLine(time, colour) {
    this.fill(colour, Math.round(this.x(time)), RULER_HEIGHT, 1, this.height);
  }

  // Beats, where they are far enough apart.
  drawBeats() {
    const apart = (this.width - KEYBOARD_WIDTH) / view.span * data.total / Math.max(1, data.beats.length);
    if (apart <= 7) return;
    for (const time of data.beats) {
      if (time > view.start && time < this.end) this.drawLine(time, this.look.beat);
    }
  }

  // Bars, or seconds of a performance, and their numbers where there is room.
  drawBars() {
    const pen = this.pen;
    const inBars = data.unit === 'bar';
    // The last bar line ends the piece, so no number stands there.
    const numbered = inBars ? data.bars.length - 1 : data.bars.length;
    let free = -1e9;
    pen.font = '11px system-ui,sans-serif';
    pen.textBaseline = 'middle';
    pen.textAlign = 'left';
    data.bars.forEach((time, k) => {
      if (time < view.start - 1 || time > this.end) return;
      this.drawLine(time, this.look.bar);
      const x = this.x(time);
      if (k >= numbered || x <= free || x < KEYBOARD_WIDTH - 2) return;
      const text = inBars ? String(data.first + k) : time + ' s';
      pen.fillStyle = this.look.ink;
      pen.fillText(text, x + 6, RULER_HEIGHT / 2 + 1);
      free = x + pen.measureText(text).width + 14;
    });
  }

  // Outlines of notes that the original alone has.
  drawGone() {
    const pen = this.pen;
    pen.strokeStyle = this.look.own[0];
    pen.globalAlpha = .75;
    for (const note of versions[0].notes) {
      if (note.changed && note.start < this.end && note.end > view.start) this.outlineNote(note, data.moved);
    }
    pen.globalAlpha = 1;
  }

  drawNotes() {
    for (const note of versions[this.which].notes) {
      if (note.start <= this.end && note.end >= view.start) this.drawNote(note);
    }
  }

  // Kept notes are pale and own ones vivid; without marks colour is loudness.
  drawNote(note) {
    const pen = this.pen;
    const started = playing || at > 0;
    const sounding = started && note.start <= at && at < note.end;
    pen.fillStyle = this.colourOf(note, sounding);
    if (sounding) {
      this.sounding.add(note.pitch);
      pen.shadowColor = pen.fillStyle;
      pen.shadowBlur = 9;
    }
    this.fillNote(note);
    pen.shadowBlur = 0;
    if (sounding && !marks) {
      pen.strokeStyle = this.look.head;
      pen.globalAlpha = .55;
      this.outlineNote(note);
      pen.globalAlpha = 1;
    }
  }

  colourOf(note, sounding) {
    const look = this.look;
    if (!marks) return mix(look.loudness, (note.velocity - 20) / 100);
    if (note.changed) return (sounding ? look.ownSounding : look.own)[this.which];
    return sounding ? look.keptSounding : look.kept;
  }

  // Left and right end of a note; a little stays free before its right neighbour.
  reach(note) {
    const left = Math.max(this.x(note.start), KEYBOARD_WIDTH);
    const right = Math.max(this.x(note.end) - 1, left + 1.5);
    return [left, right];
  }

  fillNote(note) {
    const pen = this.pen;
    const [left, right] = this.reach(note);
    const y = this.y(note.pitch);
    const width = right - left;
    const height = this.rowHeight;
    pen.beginPath();
    if (pen.roundRect) pen.roundRect(left, y + height * .06, width, height * .88, Math.min(height * .25, 3));
    else pen.rect(left, y, width, height);
    pen.fill();
  }

  outlineNote(note, up = 0) {
    const [left, right] = this.reach(note);
    const width = Math.max(right - left - 1, 1);
    const height = Math.max(this.rowHeight - 1, 1);
    this.pen.lineWidth = 1;
    this.pen.strokeRect(left + .5, this.y(note.pitch + up) + .5, width, height);
  }

  drawKeyboard() {
    const width = KEYBOARD_WIDTH - 3;
    this.fill(this.look.paper, 0, 0, KEYBOARD_WIDTH, this.height);
    this.fill(this.look.white, 0, RULER_HEIGHT, width, this.height);
    for (let pitch = data.low; pitch <= data.high; pitch++) this.drawKey(pitch, width);
  }

  drawKey(pitch, width) {
    const look = this.look;
    const y = this.y(pitch);
    const height = this.rowHeight;
    const pressed = this.sounding.has(pitch);
    const lit = two ? look.own[this.which] : look.loudness[4];
    if (isBlack(pitch)) {
      this.fill(pressed ? lit : look.black, 0, y, width * .55, height);
    } else {
      if (pressed) this.fill(lit, 0, y - height * .2, width, height * 1.4);
      // White keys without a black one between them: B and C, E and F.
      if (pitch % 12 === 0 || pitch % 12 === 5) this.fill(look.edge, 0, y + height - .5, width, 1);
    }
    if (pitch % 12 === 0 && height * 12 > 20) this.nameKey(pitch, y + height / 2);
  }

  nameKey(pitch, y) {
    const pen = this.pen;
    pen.fillStyle = '#2b3240';
    pen.font = '9px system-ui,sans-serif';
    pen.textAlign = 'right';
    pen.fillText('C' + (pitch / 12 - 1), KEYBOARD_WIDTH - 4, Math.min(y, this.height - 5));
  }

  drawPlayhead() {
    const pen = this.pen;
    const x = this.x(at);
    if (x < KEYBOARD_WIDTH || at > this.end) return;
    pen.globalAlpha = this.which === active ? 1 : .45;
    this.fill(this.look.head, x - 1, 0, 2, this.height);
    pen.beginPath();
    pen.moveTo(x - 5, 0);
    pen.lineTo(x + 5, 0);
    pen.lineTo(x, 7);
    pen.fill();
    pen.globalAlpha = 1;
  }
}

function clock(time) {
  return Math.floor(time / 60) + ':' + String(Math.floor(time % 60)).padStart(2, '0');
}

function barAt(time) {
  let k = 0;
  while (k + 1 < data.bars.length - 1 && data.bars[k + 1] <= time + .01) k++;
  return data.first + k;
}

// Draw all that changes; the body says where things stand, for tests.
function paint() {
  canvases.forEach((canvas, which) => {
    const roll = new Roll(which);
    if (roll.width && roll.height) roll.draw();
  });
  const slider = byId('seek');
  if (document.activeElement !== slider || playing) slider.value = at;
  slider.setAttribute('aria-valuetext', clock(at) + (data.unit === 'bar' ? ', bar ' + barAt(at) : ''));
  byId('time').textContent = clock(at) + ' / ' + clock(soundLength());
  document.body.dataset.at = at.toFixed(3);
  document.body.dataset.playing = playing;
  document.body.dataset.active = active;
}


// ---- Playing
//
// All versions run at once, all but one muted, so that switching between them takes no time.
// A muted one that drifts is set right. Nothing plays by itself.

// A version may drift by so much from the one that is heard before it is set right.
const DRIFT = .07;
// How often that is looked at, in milliseconds.
const LOOK_EVERY_MS = 400;

const sounds = versions.map(makeSound);

function makeSound(version) {
  if (!version.sound) return null;
  const audio = new Audio();
  audio.preload = 'auto';
  audio.src = version.sound;
  audio.addEventListener('error', () => sayItCannotPlay());
  return audio;
}

function say(text) {
  byId('said').textContent = text;
}

function sayItCannotPlay(why = '') {
  say('This page cannot play the sound here' + why + '; the buttons MIDI and WAV save it.');
}

function soundLength() {
  const sound = sounds[active];
  return sound && isFinite(sound.duration) ? sound.duration : data.total;
}

function setPlaying(on) {
  playing = on;
  byId('play').textContent = on ? '\u275a\u275a Pause' : '\u25b6 Play';
}

// Move the view so that it begins at a time, but not beyond the end.
function lookFrom(start) {
  view.start = Math.max(0, Math.min(start, data.total - view.span));
}

function turnPage() {
  const late = view.start + view.span * .94;
  if (view.span < data.total && (at > late || at < view.start)) lookFrom(at - view.span * .06);
}

function mendDrift() {
  sounds.forEach((sound, i) => {
    if (i !== active && Math.abs(sound.currentTime - at) > DRIFT) sound.currentTime = at;
  });
}

let mendedMs = 0;

function followSound(nowMs) {
  if (!playing) return;
  at = sounds[active].currentTime;
  if (nowMs - mendedMs > LOOK_EVERY_MS) {
    mendedMs = nowMs;
    mendDrift();
  }
  turnPage();
  paint();
  if (sounds[active].ended) stopPlaying();
  else requestAnimationFrame(followSound);
}

function stopPlaying() {
  for (const sound of sounds) if (sound) sound.pause();
  setPlaying(false);
  paint();
}

function startPlaying() {
  if (!sounds[active]) return;
  if (at >= soundLength() - .05) seek(0);
  sounds.forEach((sound, i) => {
    sound.muted = i !== active;
    sound.currentTime = at;
  });
  setPlaying(true);
  Promise.all(sounds.map(sound => sound.play())).then(sayAndFollow).catch(giveUp);
}

function sayAndFollow() {
  say(data.note);
  requestAnimationFrame(followSound);
}

// A sound that was stopped before it began is no failure.
function giveUp(error) {
  if (error.name === 'AbortError') return;
  stopPlaying();
  sayItCannotPlay(' (' + error.name + ')');
}

function playOrStop() {
  if (playing) stopPlaying();
  else startPlaying();
}

function seek(time) {
  at = Math.max(0, Math.min(time, soundLength()));
  for (const sound of sounds) if (sound) sound.currentTime = at;
  if (at < view.start || at > view.start + view.span) lookFrom(at - view.span * .1);
  paint();
}

// Hear another version, at the same place.
function pick(which) {
  const chosen = sounds[which];
  if (chosen && playing && which !== active) {
    const now = sounds[active].currentTime;
    if (Math.abs(chosen.currentTime - now) > .04) chosen.currentTime = now;
  }
  active = which;
  sounds.forEach((sound, i) => {
    if (sound) sound.muted = i !== which;
  });
  document.querySelectorAll('section').forEach((section, i) => section.classList.toggle('on', i === which));
  document.querySelectorAll('.pick').forEach((button, i) => button.setAttribute('aria-pressed', i === which));
  paint();
}

// The 44 bytes that begin a mono WAV file of 16 bits.
function writeWavHeader(out, samples, rate) {
  const word = (place, text) => {
    for (let k = 0; k < 4; k++) out.setUint8(place + k, text.charCodeAt(k));
  };
  word(0, 'RIFF');
  out.setUint32(4, 36 + 2 * samples, true);
  word(8, 'WAVE');
  word(12, 'fmt ');
  out.setUint32(16, 16, true);
  out.setUint16(20, 1, true);
  out.setUint16(22, 1, true);
  out.setUint32(24, rate, true);
  out.setUint32(28, 2 * rate, true);
  out.setUint16(32, 2, true);
  out.setUint16(34, 16, true);
  word(36, 'data');
  out.setUint32(40, 2 * samples, true);
}

// Sound travels as MP3, or as a smaller WAV: decode it and make a WAV file of it.
async function makeWav(version) {
  const raw = atob(version.sound.split(',')[1]);
  const bytes = Uint8Array.from(raw, letter => letter.charCodeAt(0));
  const decoder = new OfflineAudioContext(1, 1, data.rate);
  const samples = (await decoder.decodeAudioData(bytes.buffer)).getChannelData(0);
  const out = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  writeWavHeader(out, samples.length, data.rate);
  samples.forEach((sample, k) => out.setInt16(44 + 2 * k, Math.max(-1, Math.min(1, sample)) * 32767, true));
  return new Blob([out.buffer], {type: 'audio/wav'});
}

async function saveWav(version) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(await makeWav(version));
  link.download = version.file + '.wav';
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function sayThereIsNoWav() {
  say('This page cannot make a WAV file; the button MIDI works, and so does save_wav in Python.');
}


// ---- Mouse and keyboard
//
// Space plays, 1 and 2 choose the version, the arrows move by two seconds, M marks what changed.
// All of it can be reached with the Tab key, too.

// Show all where a second has 16 pixels at least, else as much as is legible: then it turns pages.
function fitView() {
  const room = Math.max(60, canvases[0].getBoundingClientRect().width - KEYBOARD_WIDTH);
  if (fitted) {
    view.span = Math.min(data.total, Math.max(6, room / 16));
    lookFrom(view.start);
  }
  paint();
}

// Zoom around a time; without one around the playhead, or around the middle where that is out of sight.
function zoom(by, centre) {
  const span = Math.min(data.total, Math.max(1.5, view.span * by));
  const inSight = at >= view.start && at <= view.start + view.span;
  const around = centre ?? (inSight ? at : view.start + view.span / 2);
  const start = around - (around - view.start) * span / view.span;
  fitted = false;
  view.span = span;
  lookFrom(start);
  paint();
}

function listenToRoll(canvas, which) {
  let held = false;

  function timeAt(event) {
    const box = canvas.getBoundingClientRect();
    const x = Math.max(0, event.clientX - box.left - KEYBOARD_WIDTH);
    return view.start + x / (box.width - KEYBOARD_WIDTH) * view.span;
  }

  function press(event) {
    held = true;
    canvas.setPointerCapture(event.pointerId);
    pick(which);
    seek(timeAt(event));
  }

  function drag(event) {
    if (held) seek(timeAt(event));
  }

  function release() {
    held = false;
  }

  function turnWheel(event) {
    const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY);
    if (event.ctrlKey) {
      event.preventDefault();
      zoom(event.deltaY > 0 ? 1.2 : 1 / 1.2, timeAt(event));
    } else if (sideways && view.span < data.total) {
      event.preventDefault();
      lookFrom(view.start + event.deltaX * view.span / 800);
      paint();
    }
  }

  canvas.addEventListener('pointerdown', press);
  canvas.addEventListener('pointermove', drag);
  canvas.addEventListener('pointerup', release);
  canvas.addEventListener('pointercancel', release);
  canvas.addEventListener('wheel', turnWheel, {passive: false});
}

function pressKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const control = event.target.closest('button,a,input');
  const key = event.key;
  if (key === ' ' && !control) {
    event.preventDefault();
    playOrStop();
  } else if ((key === 'ArrowLeft' || key === 'ArrowRight') && !(control && control.id === 'seek')) {
    event.preventDefault();
    seek(at + (key === 'ArrowLeft' ? -2 : 2));
  } else if (key >= '1' && key <= String(versions.length)) {
    pick(Number(key) - 1);
  } else if (key.toLowerCase() === 'm' && byId('marks')) {
    byId('marks').click();
  }
}

function showMarks(on) {
  marks = on;
  document.querySelector('.key').style.display = on ? '' : 'none';
  paint();
}

function setTheme(name) {
  document.documentElement.dataset.theme = name;
}

function listenToControls() {
  byId('play').addEventListener('click', playOrStop);
  byId('seek').addEventListener('input', event => seek(Number(event.target.value)));
  byId('in').addEventListener('click', () => zoom(1 / 1.5));
  byId('out').addEventListener('click', () => zoom(1.5));
  if (byId('marks')) byId('marks').addEventListener('change', event => showMarks(event.target.checked));
  document.querySelectorAll('.pick').forEach((button, i) => button.addEventListener('click', () => pick(i)));
  document.querySelectorAll('.wav').forEach((button, i) => {
    button.addEventListener('click', () => saveWav(versions[i]).catch(sayThereIsNoWav));
  });
  document.addEventListener('keydown', pressKey);
}

// Light or dark as the system is, whenever that changes, and as the button says.
function listenToTheme() {
  const chosen = () => prefersDark.matches ? 'dark' : 'light';
  prefersDark.addEventListener('change', () => {
    setTheme(chosen());
    paint();
  });
  byId('theme').addEventListener('click', () => {
    setTheme(document.documentElement.dataset.theme === 'light' ? 'dark' : 'light');
    paint();
  });
  setTheme(chosen());
}

// A player that came without sound can't play, nor save it.
function withoutSound() {
  byId('play').disabled = true;
  document.querySelectorAll('.wav').forEach(button => button.disabled = true);
}

// A performance has no bars: lines stand at round seconds, at most about 60 of them.
function ruleSeconds() {
  const step = [1, 2, 5, 10, 20, 30, 60, 120, 300].find(s => data.total / s <= 60) || 600;
  for (let time = 0; time < data.total; time += step) data.bars.push(time);
}

canvases.forEach(listenToRoll);
listenToControls();
listenToTheme();
new ResizeObserver(fitView).observe(document.body);
if (!sounds[0]) withoutSound();
if (data.unit === 's') ruleSeconds();
setPlaying(false);
say(data.note);
pick(active);
fitView();
document.body.dataset.ready = '1';
