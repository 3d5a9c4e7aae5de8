mock "time" {
  data = {
    now = {
      weekday_name = "Sunday"
    }
  }
}

test {
  rules = {
    main = false
  }
}
