// The page's entry.

import { render } from 'preact';
import { App } from './app.tsx';
import { engine, start } from './model.ts';
import './style/theme.css';
import './style/layout.css';
import './style/chrome.css';
import './style/parts.css';
import './style/chain.css';
import './style/views.css';
import './style/events.css';

const root = document.getElementById('app');
if (root !== null) {
  render(<App />, root);
  void start();
}

// For the browser's console: the emulator behind the page, to be asked what no view shows.
Object.assign(window, { pagewalk: engine });
