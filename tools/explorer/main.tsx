// The page's entry.

import { render } from 'preact';
import { App } from './app.tsx';
import { start } from './model.ts';
import './style/theme.css';
import './style/layout.css';
import './style/parts.css';

const root = document.getElementById('app');
if (root !== null) {
  render(<App />, root);
  void start();
}
