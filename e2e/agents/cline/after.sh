#!/bin/sh
tee -a /run/model/after | @BESIDE@
