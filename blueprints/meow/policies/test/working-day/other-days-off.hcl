mock "time" {
  data = {
    now = {
      weekday_name = "Friday"
    }
  }
}

param "days_off" {
  value = ["Friday"]
}

test {
  rules = {
    main = false
  }
}
